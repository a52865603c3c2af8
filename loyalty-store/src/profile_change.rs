//! Changes of a customer's profile.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use loyalty_core::{Attributes, Email, Tag};

/// A change of an optional value.
///
/// # Example: keep, set and clear
/// ```
/// use loyalty_store::FieldChange;
/// let mut zip = Some("1010".to_owned());
/// FieldChange::Keep.apply_to(&mut zip);
/// assert_eq!(zip.as_deref(), Some("1010"));
/// FieldChange::Set(Some("8001".to_owned())).apply_to(&mut zip);
/// assert_eq!(zip.as_deref(), Some("8001"));
/// FieldChange::Set(None).apply_to(&mut zip);
/// assert_eq!(zip, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FieldChange<T> {
    /// Leave the value unchanged.
    #[default]
    Keep,
    /// Replace the value; `None` clears it.
    Set(Option<T>),
}

impl<T> FieldChange<T> {
    /// Applies the change to a value.
    pub fn apply_to(self, value: &mut Option<T>) {
        if let Self::Set(new) = self {
            *value = new;
        }
    }
}

/// A change of a customer's profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The e-mail.
    pub email: FieldChange<Email>,
    /// First name.
    pub first_name: FieldChange<String>,
    /// Last name.
    pub last_name: FieldChange<String>,
    /// Day of birth.
    pub birthday: FieldChange<NaiveDate>,
    /// Postal code.
    pub zip: FieldChange<String>,
    /// Country.
    pub country: FieldChange<String>,
    /// All tags, or `None` to keep them.
    pub tags: Option<BTreeSet<Tag>>,
    /// All attributes, or `None` to keep them.
    pub attributes: Option<Attributes>,
    /// All identifiers of the household, or `None` to keep them: a device, an address, a
    /// card, in the shop's own format.
    pub household: Option<BTreeSet<String>>,
}
