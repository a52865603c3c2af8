//! The parser of searches: characters to tokens, tokens to terms, terms to an expression.
//!
//! The limit of 500 characters also bounds the depth of recursion.

use std::iter::Peekable;
use std::str::FromStr;
use std::vec::IntoIter;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use loyalty_core::Zone;

use super::{Comparison, Expression, Pattern, SearchError, Term, TextField, TimeRange};

const MAX_CHARACTERS: usize = 500;
const MAX_TERMS: usize = 10;

/// Fields of Shopify's customers that are not stored.
const UNSUPPORTED_FIELDS: [&str; 11] = [
    "accepts_marketing",
    "city",
    "company",
    "last_abandoned_order_date",
    "last_order_date",
    "order_date",
    "orders_count",
    "phone",
    "province",
    "state",
    "total_spent",
];

/// Parses the text of a search. Dates are days in `zone`.
pub(super) fn parse_expression(text: &str, zone: Zone) -> Result<Expression, SearchError> {
    if text.chars().count() > MAX_CHARACTERS {
        return Err(SearchError::TooLong);
    }

    let tokens = tokenize(text)?;
    if tokens.iter().filter(|token| matches!(token, Token::Word(_))).count() > MAX_TERMS {
        return Err(SearchError::TooLong);
    }
    if tokens.is_empty() {
        return Ok(Expression::default());
    }

    let mut parser = Parser { tokens: tokens.into_iter().peekable(), zone };
    let expression = parser.parse_any()?;

    // Only a closing parenthesis ends an expression before the end of the text.
    match parser.tokens.next() {
        None => Ok(expression),
        Some(_) => Err(SearchError::UnpairedParenthesis),
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Word(Word),
}

/// The characters of a word. A quoted character (`true`) is never an operator.
type Word = Vec<(char, bool)>;

fn tokenize(text: &str) -> Result<Vec<Token>, SearchError> {
    let (mut tokens, mut word, mut quote) = (Vec::new(), Word::new(), None);
    let mut characters = text.chars();

    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => word.extend(characters.next().map(|next| (next, true))),
            (close, Some(open)) if close == open => quote = None,
            (inside, Some(_)) => word.push((inside, true)),
            ('"', None) => quote = Some('"'),
            ('\'', None) if expects_value(&word) => quote = Some('\''),
            ('(' | ')', None) => {
                finish_word(&mut word, &mut tokens);
                tokens.push(if character == '(' { Token::Open } else { Token::Close });
            }
            ('-', None) if word.is_empty() => tokens.push(Token::Not),
            (blank, None) if blank.is_whitespace() => finish_word(&mut word, &mut tokens),
            (other, None) => word.push((other, false)),
        }
    }

    if quote.is_some() {
        return Err(SearchError::UnclosedQuote);
    }

    finish_word(&mut word, &mut tokens);
    Ok(tokens)
}

/// Returns true where an apostrophe opens a quote: at the start of a word or a value.
fn expects_value(word: &Word) -> bool {
    word.last()
        .is_none_or(|last| [':', '>', '<', '='].map(|sign| (sign, false)).contains(last))
}

fn finish_word(word: &mut Word, tokens: &mut Vec<Token>) {
    let word = std::mem::take(word);
    if !word.is_empty() {
        let plain = word.iter().all(|(_, quoted)| !quoted);
        tokens.push(match word_text(&word).as_str() {
            "AND" if plain => Token::And,
            "OR" if plain => Token::Or,
            "NOT" if plain => Token::Not,
            _ => Token::Word(word),
        });
    }
}

fn word_text(word: &[(char, bool)]) -> String {
    word.iter().map(|(character, _)| character).collect()
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    zone: Zone,
}

impl Parser {
    /// `… OR …`
    fn parse_any(&mut self) -> Result<Expression, SearchError> {
        let mut parts = vec![self.parse_all()?];
        while self.tokens.next_if_eq(&Token::Or).is_some() {
            parts.push(self.parse_all()?);
        }
        Ok(unwrap_single(parts, Expression::Any))
    }

    /// `… …` or `… AND …`
    fn parse_all(&mut self) -> Result<Expression, SearchError> {
        let mut parts = vec![self.parse_one()?];
        loop {
            match self.tokens.peek() {
                None | Some(Token::Close | Token::Or) => {
                    return Ok(unwrap_single(parts, Expression::All));
                }
                Some(Token::And) => {
                    self.tokens.next();
                    parts.push(self.parse_one()?);
                }
                Some(Token::Open | Token::Not | Token::Word(_)) => parts.push(self.parse_one()?),
            }
        }
    }

    fn parse_one(&mut self) -> Result<Expression, SearchError> {
        let misplaced = |name: &str| Err(SearchError::MisplacedOperator(name.to_owned()));
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(Expression::Term(parse_term(&word, self.zone)?)),
            Some(Token::Not) => Ok(Expression::Not(Box::new(self.parse_one()?))),
            Some(Token::Open) => {
                let inside = self.parse_any()?;
                let closed = self.tokens.next_if_eq(&Token::Close);
                closed.map(|_| inside).ok_or(SearchError::UnpairedParenthesis)
            }
            Some(Token::Close) => Err(SearchError::UnpairedParenthesis),
            Some(Token::And) => misplaced("AND"),
            Some(Token::Or) => misplaced("OR"),
            None => misplaced("an operator or parenthesis"),
        }
    }
}

fn unwrap_single(
    mut parts: Vec<Expression>,
    many: fn(Vec<Expression>) -> Expression,
) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn parse_term(word: &[(char, bool)], zone: Zone) -> Result<Term, SearchError> {
    let Some(colon) = word.iter().position(|character| *character == (':', false)) else {
        return Ok(Term::Text(TextField::Any, parse_pattern(word)));
    };
    let (field, value) = word.split_at(colon);
    let (field, value) = (word_text(field), value.get(1..).unwrap_or_default());
    let (comparison, value) = parse_comparison(value);

    let text = |text_field| match comparison {
        Comparison::Equal => Ok(Term::Text(text_field, parse_pattern(value))),
        Comparison::Greater | Comparison::AtLeast | Comparison::Less | Comparison::AtMost => {
            Err(SearchError::NotComparable(field.clone()))
        }
    };

    match field.as_str() {
        "country" => text(TextField::Country),
        "created_at" => Ok(Term::Created(comparison, parse_time_range("created_at", value, zone)?)),
        "email" => text(TextField::Email),
        "first_name" => text(TextField::FirstName),
        "id" | "customer_id" => text(TextField::Id),
        "last_name" => text(TextField::LastName),
        "points" => Ok(Term::Points(comparison, parse_points(value)?)),
        "tag" => text(TextField::Tag),
        "tier" => text(TextField::Tier),
        "updated_at" => Ok(Term::Updated(comparison, parse_time_range("updated_at", value, zone)?)),
        known if UNSUPPORTED_FIELDS.contains(&known) => Err(SearchError::UnsupportedField(field)),
        _ => Err(SearchError::UnknownField(field)),
    }
}

/// Splits a value into its comparison and the rest. Quoted signs belong to the value.
fn parse_comparison(value: &[(char, bool)]) -> (Comparison, &[(char, bool)]) {
    let sign = |index: usize| value.get(index).filter(|(_, quoted)| !quoted).map(|(sign, _)| *sign);
    let (comparison, signs) = match (sign(0), sign(1)) {
        (Some('>'), Some('=')) => (Comparison::AtLeast, 2),
        (Some('<'), Some('=')) => (Comparison::AtMost, 2),
        (Some('>'), _) => (Comparison::Greater, 1),
        (Some('<'), _) => (Comparison::Less, 1),
        (Some('='), _) => (Comparison::Equal, 1),
        _ => (Comparison::Equal, 0),
    };
    (comparison, value.get(signs..).unwrap_or_default())
}

fn parse_pattern(word: &[(char, bool)]) -> Pattern {
    match word.split_last() {
        Some((('*', false), beginning)) => Pattern::new(word_text(beginning), true),
        _ => Pattern::new(word_text(word), false),
    }
}

fn parse_points(value: &[(char, bool)]) -> Result<i64, SearchError> {
    let text = word_text(value);
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let invalid = SearchError::InvalidValue { field: "points", expected: "a whole number" };
    text.parse().ok().filter(|_| is_whole).ok_or(invalid)
}

fn parse_time_range(
    field: &'static str,
    value: &[(char, bool)],
    zone: Zone,
) -> Result<TimeRange, SearchError> {
    let text = word_text(value);
    let range = if text.len() == 10 { parse_day(&text, zone) } else { parse_instant(&text) };
    let expected = "a date such as 2026-01-31 or a time such as '2026-01-31T10:00:00Z'";
    range.ok_or(SearchError::InvalidValue { field, expected })
}

fn parse_day(text: &str, zone: Zone) -> Option<TimeRange> {
    // `NaiveDate` would also accept signs and blanks.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = NaiveDate::from_str(text).ok().filter(|_| is_plain)?;
    let start = |date: NaiveDate| zone.instant(date.and_time(NaiveTime::MIN)).ok();
    TimeRange::between(start(date)?, start(date.succ_opt()?)?)
}

fn parse_instant(text: &str) -> Option<TimeRange> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    Some(TimeRange { first: at, last: at })
}
