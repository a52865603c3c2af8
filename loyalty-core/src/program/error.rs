//! Why a program is not accepted.

use std::fmt;

use crate::fault::Fault;

/// Everything that is wrong with a program, in the order of the document. At least one fault.
///
/// # Example: every fault with its JSON pointer
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// let error = Program::from_json(r#"{"rounding": "sideways", "debt": 5}"#).unwrap_err();
/// let pointers: Vec<_> = error.faults().iter().map(|fault| fault.pointer.as_str()).collect();
/// assert_eq!(pointers, ["/rounding", "/debt"]);
/// assert_eq!(
///     error.to_string(),
///     "the program has 2 faults: /rounding must be one of down, half_even, half_up, up; \
///      /debt must be a string"
/// );
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramError {
    faults: Vec<Fault>,
}

impl ProgramError {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Iterates over the faults.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => f.write_str("the program has a fault: ")?,
            count => write!(f, "the program has {count} faults: ")?,
        }

        let mut between = "";
        for fault in &self.faults {
            // The pointer of the document itself is empty.
            let gap = if fault.pointer.is_empty() { "" } else { " " };
            write!(f, "{between}{}{gap}{}", fault.pointer, fault.detail)?;
            between = "; ";
        }
        Ok(())
    }
}

impl std::error::Error for ProgramError {}

impl IntoIterator for ProgramError {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.faults.into_iter()
    }
}

impl<'a> IntoIterator for &'a ProgramError {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
