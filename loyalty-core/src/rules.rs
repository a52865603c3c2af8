//! The rules themselves: pure functions, one family a file.

pub(crate) mod actions;
pub(crate) mod basis;
pub(crate) mod bonus;
mod campaign;
pub(crate) mod clawback;
pub(crate) mod entitle;
pub(crate) mod erase;
pub(crate) mod expiry;
mod gift;
mod import;
pub(crate) mod merge;
pub(crate) mod order;
pub(crate) mod points;
pub(crate) mod redeem;
mod referrals;
pub(crate) mod refund;
pub(crate) mod scheduled;
pub(crate) mod tier;
pub(crate) mod work;
