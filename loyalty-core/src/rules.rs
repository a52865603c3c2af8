//! The rules themselves: pure functions, one family a file.

pub(crate) mod actions;
mod campaign;
pub(crate) mod clawback;
pub(crate) mod entitle;
pub(crate) mod expiry;
pub(crate) mod merge;
pub(crate) mod redeem;
mod referrals;
pub(crate) mod refund;
pub(crate) mod scheduled;
pub(crate) mod tier;
