//! A validated price rule: its discount, the lines and customers it applies to, its validity.

use super::cart::{CartLine, Customer};
use super::price_rule_parts::{
    AllocationMethod, CustomerSelection, DiscountClass, DiscountValue, PriceRuleParts,
    TargetSelection, TargetType,
};
use super::validate;
use crate::calendar::Timestamp;
use crate::customer::Email;
use crate::fault::Fault;
use crate::id::{CustomerId, ProductId, VariantId};

/// A validated price rule.
///
/// Its serialized form (feature `json`) omits the prerequisite e-mails, since a journal
/// contains no personal data. A store keeps them in a separate table and restores them with
/// [`PriceRule::with_emails`]. A rule without its e-mails admits fewer customers, never more.
///
/// # Example: all faults are listed, with Shopify's names
/// ```
/// use loyalty_core::discount::{PriceRule, PriceRuleParts, TargetType};
///
/// let starts_at = "2026-01-01T00:00:00Z".parse().unwrap();
/// let parts = PriceRuleParts {
///     value: "10".parse().unwrap(), target_type: TargetType::ShippingLine,
///     ..PriceRuleParts::new(starts_at)
/// };
/// let faults = PriceRule::new(parts, 2).unwrap_err();
/// let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
/// assert_eq!(pointers, ["/title", "/value_type", "/value", "/allocation_method"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(try_from = "StoredPriceRule", into = "StoredPriceRule"))]
pub struct PriceRule {
    parts: PriceRuleParts,
    discount_value: DiscountValue,
    minor_digits: u32,
    emails_stored_separately: bool,
}

impl PriceRule {
    /// Validates a rule for a currency with `minor_digits` decimals: 2 for USD, 0 for JPY.
    ///
    /// Which variant belongs to which product is not known here: see
    /// [`PriceRule::find_variant_faults`].
    ///
    /// # Errors
    /// All faults, in the order of the document. Their pointers name Shopify's fields. Those of
    /// buy X get Y with fields that exclude it come last.
    pub fn new(parts: PriceRuleParts, minor_digits: u32) -> Result<Self, Vec<Fault>> {
        let conflicts = validate::find_bundle_conflicts(&parts);
        match Self::validate(parts, minor_digits, false) {
            Ok(rule) if conflicts.is_empty() => Ok(rule),
            Ok(_) => Err(conflicts),
            Err(faults) => Err([faults, conflicts].concat()),
        }
    }

    /// Validates a rule as far as it must be valid to be evaluated.
    fn validate(
        parts: PriceRuleParts,
        minor_digits: u32,
        emails_stored_separately: bool,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = validate::find_faults(&parts, minor_digits, emails_stored_separately);

        match validate::validate_value(&parts, minor_digits) {
            Ok(discount_value) if faults.is_empty() => Ok(Self {
                parts,
                discount_value,
                minor_digits,
                emails_stored_separately,
            }),
            Ok(_) => Err(faults),
            Err(fault) => {
                // `value` comes after `title` and `value_type` in the document.
                let is_before =
                    |other: &&Fault| ["/title", "/value_type"].contains(&&*other.pointer);
                let index = faults.iter().take_while(is_before).count();
                faults.insert(index, fault);
                Err(faults)
            }
        }
    }

    /// Returns a fault for each variant that is listed together with its product. A rule
    /// may list a product or variants of it, not both.
    ///
    /// `variants_of` returns the variants of a product. It is called for each listed product
    /// if the same list names variants.
    ///
    /// # Errors
    /// Those of `variants_of`.
    ///
    /// # Example: a variant beside its product
    /// ```
    /// use loyalty_core::discount::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let starts_at = "2026-01-01T00:00:00Z".parse()?;
    /// let parts = PriceRuleParts {
    ///     title: "Mugs".into(), value: "-1".parse()?, target_selection: TargetSelection::Entitled,
    ///     entitled: ItemSelection {
    ///         products: ["mug".parse()?].into(), variants: ["mug-red".parse()?].into(),
    ///         ..ItemSelection::default()
    ///     },
    ///     ..PriceRuleParts::new(starts_at)
    /// };
    /// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
    /// let faults = rule.find_variant_faults(|_| Ok::<_, loyalty_core::id::IdError>(vec!["mug-red".parse()?]))?;
    /// assert_eq!(faults[0].pointer, "/entitled_variant_ids");
    /// # Ok(()) }
    /// ```
    pub fn find_variant_faults<E>(
        &self,
        variants_of: impl FnMut(&ProductId) -> Result<Vec<VariantId>, E>,
    ) -> Result<Vec<Fault>, E> {
        validate::find_variant_faults(&self.parts, variants_of)
    }

    /// The configured fields.
    pub fn parts(&self) -> &PriceRuleParts {
        &self.parts
    }

    /// Number of decimals of the rule's currency.
    pub fn minor_digits(&self) -> u32 {
        self.minor_digits
    }

    /// The discount, as a positive amount or percentage.
    pub fn discount_value(&self) -> DiscountValue {
        self.discount_value
    }

    /// The class of the discount, which decides the order of application. Each class
    /// discounts the amounts that remain after the classes before it.
    pub fn class(&self) -> DiscountClass {
        let PriceRuleParts { target_type, target_selection, allocation_method, .. } = self.parts;
        match (target_type, target_selection, allocation_method) {
            (TargetType::ShippingLine, _, _) => DiscountClass::Shipping,
            (TargetType::LineItem, TargetSelection::All, AllocationMethod::Across) => {
                DiscountClass::Order
            }
            (TargetType::LineItem, _, _) => DiscountClass::Product,
        }
    }

    /// Returns true if the rule applies by itself, without a code.
    pub fn is_automatic(&self) -> bool {
        self.parts.automatic
    }

    /// Returns true from `starts_at`, inclusive, until `ends_at`, exclusive.
    ///
    /// # Example: the validity ends at its last instant
    /// ```
    /// use loyalty_core::discount::{PriceRule, PriceRuleParts};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let end = "2026-03-01T00:00:00Z".parse()?;
    /// let starts_at = "2026-01-01T00:00:00Z".parse()?;
    /// let parts = PriceRuleParts {
    ///     title: "Winter".into(), value: "-1".parse()?, ends_at: Some(end),
    ///     ..PriceRuleParts::new(starts_at)
    /// };
    /// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
    /// assert!(rule.is_active_at("2026-02-28T23:59:59Z".parse()?));
    /// assert!(!rule.is_active_at(end));
    /// # Ok(()) }
    /// ```
    pub fn is_active_at(&self, at: Timestamp) -> bool {
        at >= self.parts.starts_at && !self.has_ended(at)
    }

    pub(super) fn has_ended(&self, at: Timestamp) -> bool {
        self.parts.ends_at.is_some_and(|end| at >= end)
    }

    /// Returns true if the customer may use the rule: it is for all customers, or lists an
    /// id, the e-mail or a segment of this one.
    pub fn admits(&self, customer: &Customer) -> bool {
        let parts = &self.parts;
        parts.customer_selection == CustomerSelection::All
            || customer
                .id
                .iter()
                .chain(&customer.aliases)
                .any(|id| parts.prerequisite_customer_ids.contains(id))
            || customer
                .email
                .as_ref()
                .is_some_and(|email| parts.prerequisite_emails.contains(email))
            || !parts
                .customer_segment_prerequisite_ids
                .is_disjoint(&customer.segments)
            || !parts.prerequisite_saved_search_ids.is_disjoint(&customer.segments)
    }

    /// Returns true if the rule discounts the line. A gift card is a means of payment and
    /// never discounted.
    pub fn entitles(&self, line: &CartLine) -> bool {
        let selected = match self.parts.target_selection {
            TargetSelection::All => true,
            TargetSelection::Entitled => self.parts.entitled.contains(line),
        };
        selected && !line.gift_card && !self.parts.excluded.contains(line)
    }

    /// Returns the rule with some customers' ids replaced by one that nobody has; `None` if it
    /// lists none of them. It admits nobody else instead.
    #[must_use]
    pub fn replace_customers(
        &self,
        is_replaced: impl Fn(&CustomerId) -> bool,
        placeholder: &CustomerId,
    ) -> Option<Self> {
        let listed = &self.parts.prerequisite_customer_ids;
        if !listed.iter().any(&is_replaced) {
            return None;
        }
        let mut rule = self.clone();
        rule.parts.prerequisite_customer_ids.retain(|id| !is_replaced(id));
        rule.parts.prerequisite_customer_ids.insert(placeholder.clone());
        Some(rule)
    }

    /// Returns true if the rule lacks e-mails that are stored separately. They are restored
    /// with [`PriceRule::with_emails`].
    pub fn has_separate_emails(&self) -> bool {
        self.emails_stored_separately
    }

    /// Returns the rule without its e-mails, as it is recorded in a journal.
    #[must_use]
    pub fn without_emails(&self) -> Self {
        let mut rule = self.clone();
        rule.emails_stored_separately |= !rule.parts.prerequisite_emails.is_empty();
        rule.parts.prerequisite_emails = Vec::new();
        rule
    }

    /// Returns the rule with its separately stored e-mails. A rule that lacks none is
    /// returned unchanged.
    ///
    /// # Example: e-mails are removed and restored
    /// ```
    /// use loyalty_core::{Email, discount::*};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emails = vec![Email::new("ada@example.com")?];
    /// let starts_at = "2026-01-01T00:00:00Z".parse()?;
    /// let parts = PriceRuleParts {
    ///     title: "Friends".into(), value: "-5".parse()?,
    ///     customer_selection: CustomerSelection::Prerequisite, prerequisite_emails: emails.clone(),
    ///     ..PriceRuleParts::new(starts_at)
    /// };
    /// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
    /// let recorded = rule.without_emails();
    /// assert!(recorded.has_separate_emails() && recorded.parts().prerequisite_emails.is_empty());
    /// assert_eq!(recorded.with_emails(emails), rule);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_emails(&self, emails: Vec<Email>) -> Self {
        let mut rule = self.clone();
        if rule.emails_stored_separately {
            rule.parts.prerequisite_emails = emails;
            rule.emails_stored_separately = rule.parts.prerequisite_emails.is_empty();
        }
        rule
    }
}

#[cfg(feature = "json")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPriceRule {
    minor_digits: u32,
    #[serde(rename = "emails_apart", default, skip_serializing_if = "std::ops::Not::not")]
    emails_stored_separately: bool,
    rule: PriceRuleParts,
}

#[cfg(feature = "json")]
impl From<PriceRule> for StoredPriceRule {
    fn from(rule: PriceRule) -> Self {
        // The e-mails are not serialized, so a rule that contains them lacks them once stored.
        let emails_stored_separately =
            rule.emails_stored_separately || !rule.parts.prerequisite_emails.is_empty();
        Self {
            minor_digits: rule.minor_digits,
            emails_stored_separately,
            rule: rule.parts,
        }
    }
}

#[cfg(feature = "json")]
impl TryFrom<StoredPriceRule> for PriceRule {
    type Error = String;

    fn try_from(stored: StoredPriceRule) -> Result<Self, String> {
        let rule =
            Self::validate(stored.rule, stored.minor_digits, stored.emails_stored_separately);
        rule.map_err(|faults| {
            let texts: Vec<_> = faults
                .iter()
                .map(|fault| format!("{} {}", fault.pointer, fault.detail))
                .collect();
            texts.join("; ")
        })
    }
}
