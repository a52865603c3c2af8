//! Facts about a shopper: what a shop tells us of a customer.
//!
//! All of it is personal data. It never enters the journal; the rules see only tags.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::calendar::Timestamp;
use crate::id::Tag;

/// Why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 bytes")]
pub struct EmailError;

/// An e-mail address as the shop spells it, with the key that it is looked up by.
///
/// Two spellings that differ in case or surrounding blanks are one address: `Ada@Example.com` and
/// `ada@example.com` are the same customer.
///
/// # Example
/// ```
/// use loyalty_core::Email;
/// let email = Email::new(" Ada@Example.com ").unwrap();
/// assert_eq!((email.as_str(), email.key()), ("Ada@Example.com", "ada@example.com"));
/// ```
#[derive(Clone, Debug)]
pub struct Email {
    spelling: Arc<str>,
    key: Arc<str>,
}

impl Email {
    /// Checks that there is one `@` with something on both sides and nothing unprintable.
    pub fn new(text: &str) -> Result<Self, EmailError> {
        let spelling = text.trim();
        let plain =
            spelling.len() <= 254 && !spelling.chars().any(|c| c.is_control() || c.is_whitespace());
        let parts = spelling.split_once('@');
        let whole = parts.is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@')
        });
        if !plain || !whole {
            return Err(EmailError);
        }
        Ok(Self {
            spelling: Arc::from(spelling),
            key: Arc::from(spelling.to_lowercase()),
        })
    }

    /// The shop's spelling.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// The spelling that look-ups use.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The mailbox behind the spelling, as far as it is known how providers read addresses: a tag after
    /// `+` is none of it, and Gmail ignores dots. To compare with, never to send to.
    ///
    /// # Example
    /// ```
    /// use loyalty_core::Email;
    /// let mailbox = |text| Email::new(text).unwrap().mailbox();
    /// assert_eq!(mailbox("Ada.Love+shop@GoogleMail.com"), mailbox("adalove@gmail.com"));
    /// assert_ne!(mailbox("a.da@example.com"), mailbox("ada@example.com"));
    /// ```
    pub fn mailbox(&self) -> String {
        let (local, host) = self.key.split_once('@').unwrap_or((&self.key, ""));
        let local = local
            .split_once('+')
            .map_or(local, |(name, _)| if name.is_empty() { local } else { name });
        match host.trim_end_matches('.') {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", local.replace('.', "")),
            host => format!("{local}@{host}"),
        }
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::new(&text)
    }
}

/// A customer's day of birth, and since when it is known. The same day told again is no change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birthday {
    /// The day.
    pub day: NaiveDate,
    /// When it was set or changed last.
    pub set_at: Timestamp,
}

/// What a shop knows of a customer, apart from id and e-mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Profile {
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Day of birth.
    pub birthday: Option<NaiveDate>,
    /// The default address's postal code.
    pub zip: Option<String>,
    /// The default address's country, as the shop writes it.
    pub country: Option<String>,
    /// The shop's labels; conditions of a program look at them.
    pub tags: BTreeSet<Tag>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_checked_and_folded() {
        for (text, want) in [
            ("ada@example.com", Some("ada@example.com")),
            ("ÄDA@Example.COM", Some("äda@example.com")),
            ("ada", None),
            ("@example.com", None),
            ("ada@", None),
            ("a@b@c", None),
            ("a da@example.com", None),
            ("ada@example.com\0", None),
            ("", None),
        ] {
            assert_eq!(Email::new(text).ok().as_ref().map(Email::key), want, "{text:?}");
        }
    }
}
