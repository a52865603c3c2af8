//! The fields of a row, and the columns that other services have for them.

use super::content_error::{ContentError, ContentErrorKind};

/// The most columns of a content.
const MAX_COLUMNS: usize = 1_000;

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named as its column")]
pub enum Field {
    CustomerId,
    Email,
    FirstName,
    LastName,
    Birthday,
    Zip,
    Country,
    Tags,
    Tier,
    TierUntil,
    Points,
    EarnedAt,
    ExpiresAt,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 13] = [
        Self::CustomerId,
        Self::Email,
        Self::FirstName,
        Self::LastName,
        Self::Birthday,
        Self::Zip,
        Self::Country,
        Self::Tags,
        Self::Tier,
        Self::TierUntil,
        Self::Points,
        Self::EarnedAt,
        Self::ExpiresAt,
    ];

    /// The name of the field, and of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::CustomerId => "customer_id",
            Self::Email => "email",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Birthday => "birthday",
            Self::Zip => "zip",
            Self::Country => "country",
            Self::Tags => "tags",
            Self::Tier => "tier",
            Self::TierUntil => "tier_until",
            Self::Points => "points",
            Self::EarnedAt => "earned_at",
            Self::ExpiresAt => "expires_at",
        }
    }

    /// Finds a field by its name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// The columns of a service, and how it writes days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The names of the fields.
    #[default]
    Own,
    /// An export of this program. The balances of customers are left out: their lots have them.
    Export,
    /// Smile.
    Smile,
    /// Yotpo. Birthdays are month, day and year.
    Yotpo,
    /// `LoyaltyLion`.
    LoyaltyLion,
    /// Lootly.
    Lootly,
    /// Talon.One. A row is a lot.
    Talon,
}

/// Columns that mean the same with every service.
const COMMON: &[(&str, Field)] = &[
    ("e-mail", Field::Email),
    ("email address", Field::Email),
    ("customer email", Field::Email),
    ("date of birth", Field::Birthday),
    ("birthdate", Field::Birthday),
    ("points balance", Field::Points),
    ("vip tier", Field::Tier),
];

impl Preset {
    /// Finds a preset by its name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "own" => Self::Own,
            "export" => Self::Export,
            "smile" => Self::Smile,
            "yotpo" => Self::Yotpo,
            "loyaltylion" => Self::LoyaltyLion,
            "lootly" => Self::Lootly,
            "talon" => Self::Talon,
            _ => return None,
        })
    }

    /// The columns besides those with the name of a field, in lower case with blanks.
    fn columns(self) -> &'static [(&'static str, Field)] {
        match self {
            Self::Own | Self::Export => &[],
            Self::Smile => &[("birthday date", Field::Birthday)],
            Self::Yotpo => &[
                ("birthday (mm/dd)", Field::Birthday),
                ("birthday (mm/dd/yyyy)", Field::Birthday),
                ("birthday (mm/dd) or (mm/dd/yyyy)", Field::Birthday),
                ("current points balance", Field::Points),
            ],
            Self::LoyaltyLion => &[
                ("merchant id", Field::CustomerId),
                ("points approved", Field::Points),
                ("tier name", Field::Tier),
            ],
            Self::Lootly => &[("available points", Field::Points), ("tier name", Field::Tier)],
            Self::Talon => &[
                ("customerprofileid", Field::CustomerId),
                ("amount", Field::Points),
                ("startdate", Field::EarnedAt),
                ("expirydate", Field::ExpiresAt),
            ],
        }
    }

    /// True if a customer can have several rows.
    pub fn repeats_customers(self) -> bool {
        self == Self::Talon
    }

    /// True if an empty end means that the points do not expire by themselves.
    pub(super) fn empty_end_is_never(self) -> bool {
        self == Self::Talon
    }

    /// True if days are month, day and year.
    pub(super) fn has_month_first(self) -> bool {
        self == Self::Yotpo
    }

    fn field_of(self, column: &str) -> Option<Field> {
        let plain = column.trim().to_lowercase();
        if let Some(field) = Field::by_name(&plain.replace([' ', '-'], "_")) {
            return Some(field);
        }
        let common = if matches!(self, Self::Own | Self::Export) { &[][..] } else { COMMON };
        let spaced = plain.replace('_', " ");
        let mut known = self.columns().iter().chain(common);
        known.find(|(name, _)| *name == spaced).map(|(_, field)| *field)
    }
}

/// Which column has which field.
#[derive(Clone, Debug, Default)]
pub struct ColumnMap {
    /// The service that the content is from.
    pub preset: Preset,
    /// Fields with the columns that were named for them.
    pub named: Vec<(Field, String)>,
}

impl ColumnMap {
    /// Finds the field of a column. A column that was named counts before the preset.
    pub(super) fn field_of(&self, column: &str) -> Option<Field> {
        let column = column.trim();
        let named = self.named.iter().find(|(_, name)| name.trim() == column);
        match named {
            Some((field, _)) => Some(*field),
            None => self
                .preset
                .field_of(column)
                .filter(|field| self.named.iter().all(|(named, _)| named != field)),
        }
    }

    /// Finds the fields of a header. Other columns are not read.
    pub(super) fn fields_of(&self, header: &[String]) -> Result<Vec<Option<Field>>, ContentError> {
        if header.len() > MAX_COLUMNS {
            return Err(ContentErrorKind::TooManyColumns { limit: MAX_COLUMNS }.at(1));
        }
        let fields: Vec<_> = header.iter().map(|column| self.field_of(column)).collect();
        let count = |field: Field| fields.iter().filter(|found| **found == Some(field)).count();
        if let Some(field) = Field::ALL.into_iter().find(|field| count(*field) > 1) {
            return Err(ContentErrorKind::ColumnTwice { field: field.name() }.at(1));
        }
        if let Some((field, _)) = self.named.iter().find(|(field, _)| count(*field) == 0) {
            return Err(ContentErrorKind::ColumnMissing { field: field.name() }.at(1));
        }
        if count(Field::CustomerId) == 0 && count(Field::Email) == 0 {
            return Err(ContentErrorKind::NoCustomerColumn.at(1));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_by_preset() {
        for (preset, column, field) in [
            (Preset::Own, "email", Some(Field::Email)),
            (Preset::Own, " First Name ", Some(Field::FirstName)),
            (Preset::Own, "Points Balance", None),
            (Preset::Export, "balance", None),
            (Preset::Smile, "Points Balance", Some(Field::Points)),
            (Preset::Smile, "VIP tier", Some(Field::Tier)),
            (Preset::Yotpo, "Birthday (MM/DD/YYYY)", Some(Field::Birthday)),
            (Preset::Yotpo, "Points Spent", None),
            (Preset::LoyaltyLion, "merchant_id", Some(Field::CustomerId)),
            (Preset::Lootly, "Available Points", Some(Field::Points)),
            (Preset::Talon, "customerprofileid", Some(Field::CustomerId)),
            (Preset::Talon, "expirydate", Some(Field::ExpiresAt)),
        ] {
            let map = ColumnMap { preset, named: Vec::new() };
            assert_eq!(map.field_of(column), field, "{column}");
        }
    }

    #[test]
    fn headers_are_checked() {
        let own = ColumnMap::default();
        let header = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let fails =
            |map: &ColumnMap, text: &str| map.fields_of(&header(text)).unwrap_err().kind.code();
        assert_eq!(fails(&own, "name,points"), "no_customer_column");
        assert_eq!(fails(&own, "email,Email"), "column_twice");
        assert_eq!(fails(&own, &["email"].repeat(10_000).join(",")), "too_many_columns");

        let named = ColumnMap { named: vec![(Field::Points, "Saldo".into())], ..own };
        assert_eq!(fails(&named, "email,points"), "column_missing");
        let fields = named.fields_of(&header("email,points,Saldo")).unwrap();
        assert_eq!(fields, [Some(Field::Email), None, Some(Field::Points)]);
    }
}
