//! Personal data of customers: e-mail addresses, birthdays and profiles.
//!
//! Personal data never enters the journal. The rules see a customer's tags, attributes and
//! birthday only.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::attribute::Attributes;
use crate::calendar::Timestamp;
use crate::id::Tag;

/// The reason why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 bytes")]
pub struct EmailError;

/// An e-mail address as the shop writes it, with a normalized key for look-ups.
///
/// Equality compares keys: `Ada@Example.com` and `ada@example.com` are the same customer.
///
/// # Example: case and surrounding blanks do not matter
/// ```
/// use loyalty_core::Email;
/// let email = Email::new(" Ada@Example.com ").unwrap();
/// assert_eq!((email.as_str(), email.key()), ("Ada@Example.com", "ada@example.com"));
/// ```
#[derive(Clone, Debug)]
pub struct Email {
    text: Arc<str>,
    key: Arc<str>,
}

impl Email {
    /// Converts a text, trimmed.
    ///
    /// # Errors
    /// A text of more than 254 bytes, without exactly one `@` between other characters,
    /// or with blanks or control characters.
    pub fn new(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let is_plain =
            text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        let has_parts = text.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@')
        });
        if !is_plain || !has_parts {
            return Err(EmailError);
        }

        Ok(Self { text: Arc::from(text), key: Arc::from(text.to_lowercase()) })
    }

    /// The address as the shop writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normalized address, for look-ups.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The mailbox that probably receives the address, by the known rules of providers.
    ///
    /// A tag after `+` is removed, and the dots of Gmail addresses. Compare mailboxes to
    /// detect duplicates; never send to one.
    ///
    /// # Example: two addresses of one mailbox
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
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::new(&text)
    }
}

/// A customer's day of birth, and when it became known.
///
/// A report of the same day is no change, and keeps `set_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birthday {
    /// Day of birth.
    pub day: NaiveDate,
    /// Instant of the last change.
    pub set_at: Timestamp,
}

/// A shop's data of a customer, other than id and e-mail.
///
/// # Example: tags for the conditions of a program
/// ```
/// use loyalty_core::Profile;
/// let profile = Profile { tags: ["vip".parse().unwrap()].into(), ..Profile::default() };
/// assert_eq!(profile.tags.first().unwrap().as_str(), "vip");
/// ```
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
    /// Postal code of the default address.
    pub zip: Option<String>,
    /// Country of the default address, as the shop writes it.
    pub country: Option<String>,
    /// The shop's labels, for conditions of a program.
    pub tags: BTreeSet<Tag>,
    /// The shop's facts about the customer, for conditions of a program.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Attributes::is_empty"))]
    pub attributes: Attributes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_checked_and_normalized() {
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
