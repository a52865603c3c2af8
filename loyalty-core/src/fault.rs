//! Faults of a document that a merchant writes: a program or a price rule.

/// One fault of a program or a price rule: its place, a stable code and a sentence.
///
/// # Example: the fault of an unknown member
/// ```
/// # #[cfg(feature = "json")] {
/// let error = loyalty_core::Program::from_json(r#"{"colour": "red"}"#).unwrap_err();
/// let fault = &error.faults()[0];
/// assert_eq!((fault.pointer.as_str(), fault.code), ("/colour", "unknown_field"));
/// assert!(fault.detail.starts_with("unknown member"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Fault {
    /// The JSON pointer of the faulty value in the document.
    pub pointer: String,
    /// A stable code for machines.
    pub code: &'static str,
    /// The fault in words for people, read after the pointer.
    pub detail: String,
}

impl Fault {
    /// A fault at a place of a document.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}
