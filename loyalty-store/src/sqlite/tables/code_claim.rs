//! Claimed codes: referral codes, and manual codes that work once. Written with the journal.

use loyalty_core::{AccountId, ShopId};
use rusqlite::{Connection, params};

use super::query::{corrupt, for_each_row, query_one};
use crate::error::Failure;
use crate::transact::CodeClaim;

/// Returns the kind and name of a claim, as columns.
fn encode_code_claim(claim: &CodeClaim) -> (&'static str, &str) {
    match claim {
        CodeClaim::Manual(name) => ("code", name),
        CodeClaim::Referral(name) => ("referral", name),
    }
}

pub(crate) fn insert_code_claim(
    db: &Connection,
    shop: ShopId,
    claim: &CodeClaim,
    account: AccountId,
) -> Result<(), Failure> {
    let (kind, name) = encode_code_claim(claim);
    let sql = "INSERT INTO code_claim (shop, kind, name, account) VALUES (?, ?, ?, ?)";
    db.prepare_cached(sql)?
        .execute(params![shop.0, kind, name, account.0])?;
    Ok(())
}

/// Visits every claim.
pub(crate) fn for_each_code_claim(
    db: &Connection,
    mut visit: impl FnMut((ShopId, CodeClaim), AccountId),
) -> Result<(), Failure> {
    for_each_row(db, "SELECT shop, kind, name, account FROM code_claim", [], |row| {
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

/// Finds the account that has claimed a code.
pub(crate) fn find_claimant(
    db: &Connection,
    shop: ShopId,
    claim: &CodeClaim,
) -> Result<Option<AccountId>, Failure> {
    let (kind, name) = encode_code_claim(claim);
    let sql = "SELECT account FROM code_claim WHERE shop = ? AND kind = ? AND name = ?";
    query_one(db, sql, params![shop.0, kind, name], |row| Ok(AccountId(row.get(0)?)))
}
