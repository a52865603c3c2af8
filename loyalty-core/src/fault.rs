//! One fault of a configuration document: a program, or a price rule.

/// A fault of a document, found when it is validated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Fault {
    /// A JSON pointer to the place in the document.
    pub pointer: String,
    /// A stable code for machines.
    pub code: &'static str,
    /// The fault in words.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}
