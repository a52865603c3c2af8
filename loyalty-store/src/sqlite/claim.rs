//! Claimed names in their table: read where they stand, written with the journal.

use loyalty_core::{AccountId, ShopId};
use rusqlite::{Connection, params};

use super::rows::{self, damaged, one};
use super::staged::Reading;
use crate::error::Failure;
use crate::transact::{Claim, Claims};

fn key(claim: &Claim) -> (&'static str, &str) {
    match claim {
        Claim::Code(name) => ("code", name),
        Claim::Referral(name) => ("referral", name),
    }
}

pub(super) fn write(
    db: &Connection,
    shop: ShopId,
    claim: &Claim,
    account: AccountId,
) -> Result<(), Failure> {
    let (kind, name) = key(claim);
    let sql = "INSERT INTO claim (shop, kind, name, account) VALUES (?, ?, ?, ?)";
    db.prepare_cached(sql)?
        .execute(params![shop.0, kind, name, account.0])?;
    Ok(())
}

pub(super) fn each(
    db: &Connection,
    mut visit: impl FnMut((ShopId, Claim), AccountId),
) -> Result<(), Failure> {
    rows::each(db, "SELECT shop, kind, name, account FROM claim", [], |row| {
        let (kind, name): (String, String) = (row.get(1)?, row.get(2)?);
        let claim = match kind.as_str() {
            "code" => Claim::Code(name.into()),
            "referral" => Claim::Referral(name.into()),
            _ => return Err(damaged("a claim", &kind)),
        };
        visit((ShopId(row.get(0)?), claim), AccountId(row.get(3)?));
        Ok(())
    })
}

impl Claims for Reading<'_> {
    fn claimed(&mut self, shop: ShopId, claim: &Claim) -> Result<Option<AccountId>, Failure> {
        let of = (shop, claim.clone());
        if let Some(account) = self.staged(|staged| staged.claims.get(&of)) {
            return Ok(Some(*account));
        }
        let (kind, name) = key(claim);
        let sql = "SELECT account FROM claim WHERE shop = ? AND kind = ? AND name = ?";
        self.shared
            .read(|db| one(db, sql, params![shop.0, kind, name], |row| Ok(AccountId(row.get(0)?))))
    }
}
