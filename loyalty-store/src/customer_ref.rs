//! References to customers: the shop's id, the e-mail, or both.

use loyalty_core::{CustomerId, Email};

/// A reference to a customer: by the shop's id, by e-mail, or by both.
///
/// # Example: both parts of a reference
/// ```
/// use loyalty_core::{CustomerId, Email};
/// use loyalty_store::CustomerRef;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (id, email) = (CustomerId::new("1001")?, Email::new("ada@example.com")?);
/// let customer = CustomerRef::new(Some(id.clone()), Some(email.clone()));
/// assert_eq!(customer, Some(CustomerRef::Both(id, email)));
/// assert_eq!(CustomerRef::new(None, None), None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerRef {
    /// The shop's id.
    Id(CustomerId),
    /// The e-mail of a guest, or of a customer with an id.
    Email(Email),
    /// Both. The id selects the customer, and the e-mail becomes theirs.
    Both(CustomerId, Email),
}

impl CustomerRef {
    /// Creates a reference from the given parts. Returns `None` if both are missing.
    pub fn new(id: Option<CustomerId>, email: Option<Email>) -> Option<Self> {
        match (id, email) {
            (Some(id), Some(email)) => Some(Self::Both(id, email)),
            (Some(id), None) => Some(Self::Id(id)),
            (None, Some(email)) => Some(Self::Email(email)),
            (None, None) => None,
        }
    }

    /// Returns the shop's id, if given.
    pub fn id(&self) -> Option<&CustomerId> {
        match self {
            Self::Id(id) | Self::Both(id, _) => Some(id),
            Self::Email(_) => None,
        }
    }

    /// Returns the e-mail, if given.
    pub fn email(&self) -> Option<&Email> {
        match self {
            Self::Email(email) | Self::Both(_, email) => Some(email),
            Self::Id(_) => None,
        }
    }
}
