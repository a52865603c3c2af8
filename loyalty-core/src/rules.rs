//! The rules themselves: pure functions, one family a file.

pub(crate) mod act;
mod campaign;
pub(crate) mod due;
pub(crate) mod entitle;
pub(crate) mod expire;
pub(crate) mod merge;
pub(crate) mod redeem;
mod refer;
pub(crate) mod refund;
pub(crate) mod take;
pub(crate) mod tier;
