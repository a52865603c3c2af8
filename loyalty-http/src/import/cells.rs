//! The values of cells. What can be read in two ways is refused.

use chrono::NaiveDate;
use loyalty_core::{
    CustomerId, Email, ImportedEnd, ImportedLot, ManualTier, Points, Tag, TierId, Timestamp, Zone,
};
use loyalty_store::{CustomerRef, FieldChange, ImportContent, ImportFault, ProfileChange};

use super::columns::{Field, Preset};
use crate::wire::customer::MAX_TAGS;
use crate::wire::json::field::{Date, FromText, Text, TimeField};

/// The cells of a row, by field.
pub(super) struct Cells<'a> {
    by_field: Vec<(Field, &'a str)>,
    preset: Preset,
    zone: Zone,
    now: Timestamp,
}

/// A fault of a cell.
fn fault(code: &str, field: Field) -> ImportFault {
    ImportFault { code: code.to_owned(), column: Some(field.name().to_owned()) }
}

impl<'a> Cells<'a> {
    pub(super) fn new(
        cells: Vec<(Field, &'a str)>,
        preset: Preset,
        zone: Zone,
        now: Timestamp,
    ) -> Self {
        Self { by_field: cells, preset, zone, now }
    }

    /// Reads the row.
    pub(super) fn read(&self) -> Result<ImportContent, ImportFault> {
        for (field, text) in &self.by_field {
            if text.chars().any(char::is_control) {
                return Err(fault("control_character", *field));
            }
        }
        let id = self.parse(Field::CustomerId, "invalid_customer_id", CustomerId::from_text)?;
        let email = self.parse(Field::Email, "invalid_email", Email::from_text)?;
        let customer = CustomerRef::new(id, email);
        Ok(ImportContent {
            customer: customer.ok_or_else(|| self.no_customer())?,
            change: self.change()?,
            lots: self.lots()?,
            tier: self.tier()?,
        })
    }

    fn no_customer(&self) -> ImportFault {
        let has_id = self.find(Field::CustomerId).is_some();
        fault("empty_customer", if has_id { Field::CustomerId } else { Field::Email })
    }

    /// The cell of a field, if it has a column.
    fn find(&self, field: Field) -> Option<&'a str> {
        let found = self.by_field.iter().find(|(of, _)| *of == field);
        found.map(|(_, text)| text.trim())
    }

    /// The cell of a field, unless it is empty.
    fn filled(&self, field: Field) -> Option<&'a str> {
        self.find(field).filter(|text| !text.is_empty())
    }

    /// Parses a cell that may be empty.
    fn parse<T, E>(
        &self,
        field: Field,
        code: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ImportFault> {
        let text = self.filled(field);
        text.map(|text| parse(text).map_err(|_| fault(code, field)))
            .transpose()
    }

    /// The change of the profile. An empty cell keeps what is there.
    fn change(&self) -> Result<ProfileChange, ImportFault> {
        let text = |field| -> Result<FieldChange<String>, ImportFault> {
            let parsed = self.parse(field, "invalid_text", Text::<255>::from_text)?;
            let set = |text: Text<255>| FieldChange::Set(Some(text.into_string()));
            Ok(parsed.map_or(FieldChange::Keep, set))
        };
        let birthday = self.birthday()?;
        Ok(ProfileChange {
            first_name: text(Field::FirstName)?,
            last_name: text(Field::LastName)?,
            zip: text(Field::Zip)?,
            country: text(Field::Country)?,
            birthday: birthday.map_or(FieldChange::Keep, |day| FieldChange::Set(Some(day))),
            tags: self.filled(Field::Tags).map(parse_tags).transpose()?,
            ..ProfileChange::default()
        })
    }

    fn birthday(&self) -> Result<Option<NaiveDate>, ImportFault> {
        let Some(text) = self.filled(Field::Birthday) else {
            return Ok(None);
        };
        let invalid = || fault("invalid_birthday", Field::Birthday);
        let day = if self.preset.has_month_first() {
            match text.split('/').collect::<Vec<_>>()[..] {
                [_, _] => return Err(fault("birthday_without_year", Field::Birthday)),
                [month, day, year] if year.len() == 4 => format!("{year}-{month:0>2}-{day:0>2}"),
                _ => text.to_owned(),
            }
        } else {
            text.to_owned()
        };
        let day = Date::from_text(&day).map_err(|_| invalid())?.0;
        let today = self.zone.local(self.now).map_err(|_| invalid())?.date();
        if day > today { Err(invalid()) } else { Ok(Some(day)) }
    }

    fn tier(&self) -> Result<Option<ManualTier>, ImportFault> {
        let until = self.filled(Field::TierUntil);
        let until = until.map(|text| self.instant(Field::TierUntil, text)).transpose()?;
        match self.parse(Field::Tier, "invalid_tier", TierId::from_text)? {
            Some(id) => Ok(Some(ManualTier { id, until })),
            None if until.is_some() => Err(fault("empty_tier", Field::Tier)),
            None => Ok(None),
        }
    }

    /// The points of the row; `None` without a column for them.
    fn lots(&self) -> Result<Option<Vec<ImportedLot>>, ImportFault> {
        let Some(text) = self.find(Field::Points) else { return Ok(None) };
        let points = parse_points(text).map_err(|code| fault(code, Field::Points))?;
        let earned_at = match self.find(Field::EarnedAt) {
            None => None,
            Some("") => return Err(fault("empty_time", Field::EarnedAt)),
            Some(text) => Some(self.instant(Field::EarnedAt, text)?),
        };
        let end = match self.find(Field::ExpiresAt) {
            None => ImportedEnd::ByProgram,
            Some("never") => ImportedEnd::Never,
            Some("") if self.preset.empty_end_is_never() => ImportedEnd::Never,
            Some("") => return Err(fault("empty_time", Field::ExpiresAt)),
            Some(text) => ImportedEnd::At(self.instant(Field::ExpiresAt, text)?),
        };
        let lot = ImportedLot { points, earned_at, end };
        Ok(Some(Vec::from_iter(points.is_positive().then_some(lot))))
    }

    /// An instant, or the beginning of a day in the shop's zone.
    fn instant(&self, field: Field, text: &str) -> Result<Timestamp, ImportFault> {
        if let Ok(at) = TimeField::from_text(text) {
            return Ok(at.0);
        }
        let day = Date::from_text(text).map_err(|_| fault("invalid_time", field))?.0;
        let midnight = day.and_hms_opt(0, 0, 0).ok_or_else(|| fault("invalid_time", field))?;
        self.zone.instant(midnight).map_err(|_| fault("invalid_time", field))
    }
}

/// Parses a number of points: digits only. Else returns the code of what it looks like.
fn parse_points(text: &str) -> Result<Points, &'static str> {
    if text.is_empty() {
        return Err("empty_points");
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse().ok().and_then(Points::new);
        return number.ok_or("points_out_of_range");
    }

    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits
            .chars()
            .all(|each| each.is_ascii_digit() || ".,'’ \u{a0}\u{202f}".contains(each));
    if !is_number {
        return Err("invalid_points");
    }
    if sign {
        return Err("negative_points");
    }
    // `1.200` is twelve hundred in one country, and a bit more than one in another.
    let last = digits
        .rsplit(|each: char| !each.is_ascii_digit())
        .next()
        .unwrap_or_default();
    Err(if last.len() == 3 { "ambiguous_points" } else { "fractional_points" })
}

/// Parses tags that commas part. A comma within a tag has a backslash before it.
fn parse_tags(text: &str) -> Result<std::collections::BTreeSet<Tag>, ImportFault> {
    let invalid = || fault("invalid_tags", Field::Tags);
    let (mut tags, mut tag, mut is_escaped) = (Vec::new(), String::new(), false);
    for each in text.chars() {
        match each {
            '\\' if !is_escaped => is_escaped = true,
            ',' if !is_escaped => tags.push(std::mem::take(&mut tag)),
            _ => {
                tag.push(each);
                is_escaped = false;
            }
        }
    }
    tags.push(tag);
    let tags = tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty());
    let tags: std::collections::BTreeSet<_> = tags
        .map(Tag::from_text)
        .collect::<Result<_, _>>()
        .map_err(|_| invalid())?;
    if tags.len() > MAX_TAGS { Err(invalid()) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::enum_glob_use,
        reason = "a test may stop at what it did not expect"
    )]
    use super::*;

    #[test]
    fn points_are_never_guessed() {
        for (text, code) in [
            ("52,620", "ambiguous_points"),
            ("1.200", "ambiguous_points"),
            ("1 200", "ambiguous_points"),
            ("1'200", "ambiguous_points"),
            ("12.5", "fractional_points"),
            ("12,50", "fractional_points"),
            ("-40", "negative_points"),
            ("-1.200", "negative_points"),
            ("", "empty_points"),
            ("abc", "invalid_points"),
            ("+5", "invalid_points"),
            ("1e3", "invalid_points"),
            ("٣", "invalid_points"),
            ("=1+1", "invalid_points"),
            ("99999999999999999999", "points_out_of_range"),
        ] {
            assert_eq!(parse_points(text), Err(code), "{text}");
        }
        assert_eq!(parse_points("052620").unwrap().get(), 52_620);
        assert_eq!(parse_points("0").unwrap().get(), 0);
    }

    #[test]
    fn tags_are_parted_by_commas() {
        let tags = parse_tags(r"vip, a\,b,,c\\d").unwrap();
        let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["a,b", r"c\d", "vip"]);
    }

    fn read(cells: &[(Field, &str)], preset: Preset) -> Result<ImportContent, ImportFault> {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let zone = "Europe/Berlin".parse().unwrap();
        let mut all = vec![(Field::Email, "ada@example.com")];
        all.extend(cells);
        Cells::new(all, preset, zone, now).read()
    }

    #[test]
    fn rows_are_refused_by_code_and_column() {
        use Field::*;
        for (cells, preset, code) in [
            (&[(Birthday, "05/04")][..], Preset::Yotpo, "birthday_without_year birthday"),
            (&[(Birthday, "05/04/1990")], Preset::Own, "invalid_birthday birthday"),
            (&[(Birthday, "2026-03-02")], Preset::Own, "invalid_birthday birthday"),
            (&[(Points, "5"), (EarnedAt, "")], Preset::Own, "empty_time earned_at"),
            (&[(Points, "5"), (ExpiresAt, "")], Preset::Own, "empty_time expires_at"),
            (
                &[(Points, "5"), (ExpiresAt, "01/02/2027")],
                Preset::Own,
                "invalid_time expires_at",
            ),
            (&[(TierUntil, "2027-01-01")], Preset::Own, "empty_tier tier"),
            (&[(FirstName, "A\0da")], Preset::Own, "control_character first_name"),
            (&[(CustomerId, "\u{200b}7")], Preset::Own, "invalid_customer_id customer_id"),
        ] {
            let fault = read(cells, preset).unwrap_err();
            assert_eq!(format!("{} {}", fault.code, fault.column.unwrap()), code);
        }
    }

    #[test]
    fn cells_become_values() {
        use Field::*;
        let lot = |cells: &[(Field, &str)], preset| read(cells, preset).unwrap().lots.unwrap();
        let cells = [(Points, "5"), (EarnedAt, "2026-01-01"), (ExpiresAt, "2027-01-01T00:00:00Z")];
        let lots = lot(&cells, Preset::Own);
        assert_eq!(lots[0].earned_at, Some("2025-12-31T23:00:00Z".parse().unwrap()));
        assert_eq!(lots[0].end, ImportedEnd::At("2027-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(lot(&[(Points, "5")], Preset::Own)[0].end, ImportedEnd::ByProgram);
        assert_eq!(
            lot(&[(Points, "5"), (ExpiresAt, "never")], Preset::Own)[0].end,
            ImportedEnd::Never
        );
        assert_eq!(
            lot(&[(Points, "5"), (ExpiresAt, "")], Preset::Talon)[0].end,
            ImportedEnd::Never
        );
        assert_eq!(lot(&[(Points, "0")], Preset::Own), []);
        assert!(read(&[], Preset::Own).unwrap().lots.is_none());
        let birthday = read(&[(Birthday, "5/4/1990")], Preset::Yotpo)
            .unwrap()
            .change
            .birthday;
        assert_eq!(birthday, FieldChange::Set(NaiveDate::from_ymd_opt(1990, 5, 4)));
    }
}
