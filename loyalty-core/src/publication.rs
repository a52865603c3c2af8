//! Whether a connected store knows a redemption's code.
//!
//! A code that only the engine knows cannot be used at a checkout. What a store answers is
//! a fact: it is recorded with the redemption, and moves no points.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::calendar::Timestamp;

/// The id of a connected store within its shop.
///
/// # Example: ids are short and plain
/// ```
/// use loyalty_core::StoreId;
/// assert!(StoreId::new("woo-1").is_some());
/// assert!(StoreId::new("Woo 1").is_none());
/// assert_eq!(StoreId::plugin().as_str(), "plugin");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(try_from = "String", into = "String"))]
pub struct StoreId(SmolStr);

impl StoreId {
    /// An id of 1 to 64 lower-case letters, digits, `-` and `_`.
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        let is_valid = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
        is_valid.then(|| Self(SmolStr::new(text)))
    }

    /// The store that every shop has from its beginning: the one that runs a plugin.
    pub fn plugin() -> Self {
        Self(SmolStr::new_static("plugin"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StoreId> for String {
    fn from(id: StoreId) -> Self {
        id.0.into()
    }
}

/// The text is no id of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 lower-case letters, digits, - and _")]
pub struct StoreIdError;

impl TryFrom<String> for StoreId {
    type Error = StoreIdError;
    fn try_from(text: String) -> Result<Self, StoreIdError> {
        Self::new(&text).ok_or(StoreIdError)
    }
}

/// What a store has done with a redemption's code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Publication {
    /// The store.
    pub store: StoreId,
    /// What it has done.
    pub status: PublicationStatus,
    /// When that became known.
    pub at: Timestamp,
}

/// The state of a code in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum PublicationStatus {
    /// The store has it.
    Published {
        /// The store's own id of the code, if it has one.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        code_id: Option<Arc<str>>,
    },
    /// The store refused it, or did not answer for days.
    Failed {
        /// The reason, in the store's words. See [`PublicationStatus::failed`].
        reason: Arc<str>,
    },
    /// The store no longer has it.
    Withdrawn,
}

impl PublicationStatus {
    /// The longest reason, in characters.
    pub const MAX_REASON: usize = 200;

    /// A failure, for a reason of any length. It becomes one line without e-mail addresses,
    /// since it is kept for ever, and what is too long is cut.
    ///
    /// # Example: a store's words on one line
    /// ```
    /// use loyalty_core::PublicationStatus;
    /// let failed = PublicationStatus::failed("unknown:\nada@example.com");
    /// assert_eq!(failed, PublicationStatus::Failed { reason: "unknown: …".into() });
    /// ```
    pub fn failed(reason: &str) -> Self {
        let is_gap = |char: char| char.is_whitespace() || char.is_control();
        let words = reason.split(is_gap).filter(|word| !word.is_empty());
        let words = words.map(|word| if word.contains('@') { "…" } else { word });
        let line = words.collect::<Vec<_>>().join(" ");
        let reason: String = line.chars().take(Self::MAX_REASON).collect();
        Self::Failed { reason: reason.into() }
    }

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Published { .. } => "published",
            Self::Failed { .. } => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }
}
