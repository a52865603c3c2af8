//! The rules themselves: pure functions, one family a file.

pub(crate) mod entitle;
pub(crate) mod expire;
pub(crate) mod merge;
pub(crate) mod refund;
pub(crate) mod take;
