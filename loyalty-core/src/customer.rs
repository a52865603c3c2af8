//! Personal data of customers: e-mail addresses, birthdays and profiles.
//!
//! Personal data never enters the journal. The rules see a customer's tags and birthday
//! only.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use unicode_normalization::UnicodeNormalization;

use crate::calendar::Timestamp;
use crate::id::Tag;
use crate::text::is_invisible;

/// The reason why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 bytes")]
pub struct EmailError;

/// An e-mail address as the shop writes it, with a normalized key for look-ups.
///
/// Equality compares keys: `Ada@Example.com` and `ada@example.com` are the same customer. A
/// key is the address in lower case after NFKC, its domain as UTS 46 maps it.
///
/// # Example: case, surrounding blanks and widths do not matter
/// ```
/// use loyalty_core::Email;
/// let email = Email::new(" Ada@Example.com ").unwrap();
/// assert_eq!((email.as_str(), email.key()), ("Ada@Example.com", "ada@example.com"));
/// assert_eq!(Email::new("ada@ｅxample。com"), Ok(email));
/// assert!(Email::new("ada\u{200b}@example.com").is_err());
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
    /// or with blanks, control characters or invisible ones.
    pub fn new(text: &str) -> Result<Self, EmailError> {
        let email = Self::from_stored(text)?;
        let has_one_at = email.key.matches('@').count() == 1;
        if email.text.chars().any(is_invisible) || !has_one_at {
            return Err(EmailError);
        }
        Ok(email)
    }

    /// Converts a text that was stored. Earlier versions accepted invisible characters.
    ///
    /// # Errors
    /// Those of [`Email::new`], but for invisible characters.
    pub fn from_stored(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let is_plain =
            text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        let (local, host) = text
            .split_once('@')
            .filter(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
            .ok_or(EmailError)?;
        if !is_plain {
            return Err(EmailError);
        }

        let key = format!("{}@{}", normalize_local(local), normalize_host(host));
        Ok(Self { text: Arc::from(text), key: Arc::from(key) })
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

/// The part before the `@`: compatible characters are one (NFKC), and case does not matter.
fn normalize_local(local: &str) -> String {
    if local.is_ascii() {
        return local.to_ascii_lowercase();
    }
    let lowercase = local.nfkc().collect::<String>().to_lowercase();
    lowercase.nfkc().collect()
}

/// The domain as UTS 46 maps it, in Unicode. One that is not valid is normalized as the other
/// part is.
fn normalize_host(host: &str) -> String {
    let is_encoded = host.split('.').any(|label| {
        label
            .get(..4)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"))
    });
    if host.is_ascii() && !is_encoded {
        return host.to_ascii_lowercase();
    }
    match idna::domain_to_unicode(host) {
        (domain, Ok(())) if !domain.is_empty() => domain,
        _ => normalize_local(host),
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
            // Spellings of one mailbox.
            ("ａda@example.com", Some("ada@example.com")),
            ("ada@ｅxample.com", Some("ada@example.com")),
            ("ada@example。com", Some("ada@example.com")),
            ("a\u{308}da@example.com", Some("äda@example.com")),
            ("ada@EXÄMPLE.com", Some("ada@exämple.com")),
            ("ada@xn--exmple-cua.com", Some("ada@exämple.com")),
            ("ada@XN--exmple-cua.com", Some("ada@exämple.com")),
            ("ada@-.xn--", Some("ada@-.xn--")),
            // Another letter that looks like an a.
            ("\u{430}da@example.com", Some("\u{430}da@example.com")),
            ("ada\u{200b}@example.com", None),
            ("ada@exam\u{ad}ple.com", None),
            ("ada@example.com\u{200b}", None),
            ("\u{202e}ada@example.com", None),
            ("a＠b@example.com", None),
        ] {
            assert_eq!(Email::new(text).ok().as_ref().map(Email::key), want, "{text:?}");
        }
        // Stored by an earlier version.
        assert!(Email::from_stored("ada\u{200b}@example.com").is_ok());
    }
}
