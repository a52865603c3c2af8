//! Claimed names in their table: read where they stand, written with the journal.

use loyalty_core::{AccountId, ShopId};
use rusqlite::{Connection, params};

use super::batch::BatchView;
use super::rows::{self, corrupt, query_one};
use crate::error::Failure;
use crate::transact::{CodeClaim, CodeClaimView};

fn encode_code_claim(claim: &CodeClaim) -> (&'static str, &str) {
    match claim {
        CodeClaim::Manual(name) => ("code", name),
        CodeClaim::Referral(name) => ("referral", name),
    }
}

pub(super) fn insert_code_claim(
    db: &Connection,
    shop: ShopId,
    claim: &CodeClaim,
    account: AccountId,
) -> Result<(), Failure> {
    let (kind, name) = encode_code_claim(claim);
    let sql = "INSERT INTO claim (shop, kind, name, account) VALUES (?, ?, ?, ?)";
    db.prepare_cached(sql)?
        .execute(params![shop.0, kind, name, account.0])?;
    Ok(())
}

pub(super) fn for_each_code_claim(
    db: &Connection,
    mut visit: impl FnMut((ShopId, CodeClaim), AccountId),
) -> Result<(), Failure> {
    rows::for_each_row(db, "SELECT shop, kind, name, account FROM claim", [], |row| {
        let (kind, name): (String, String) = (row.get(1)?, row.get(2)?);
        let claim = match kind.as_str() {
            "code" => CodeClaim::Manual(name.into()),
            "referral" => CodeClaim::Referral(name.into()),
            _ => return Err(corrupt("a claim", &kind)),
        };
        visit((ShopId(row.get(0)?), claim), AccountId(row.get(3)?));
        Ok(())
    })
}

impl CodeClaimView for BatchView<'_> {
    fn find_claimant(
        &mut self,
        shop: ShopId,
        claim: &CodeClaim,
    ) -> Result<Option<AccountId>, Failure> {
        let of = (shop, claim.clone());
        if let Some(account) = self.find_uncommitted(|staged| staged.claims.get(&of)) {
            return Ok(Some(*account));
        }
        let (kind, name) = encode_code_claim(claim);
        let sql = "SELECT account FROM claim WHERE shop = ? AND kind = ? AND name = ?";
        self.committed.with_reader(|db| {
            query_one(db, sql, params![shop.0, kind, name], |row| Ok(AccountId(row.get(0)?)))
        })
    }
}
