//! From a search's text to its expression: characters to words, words to terms, terms to a tree.
//!
//! All is bounded by the text's 500 characters, also how deep the tree gets.

use std::iter::Peekable;
use std::str::FromStr;
use std::vec::IntoIter;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use loyalty_core::Zone;

use super::{Comparison, Expression, Pattern, SearchError, Span, Term, TextField};

const MAX_CHARACTERS: usize = 500;
const MAX_TERMS: usize = 10;

/// Fields of Shopify's customers of which nothing is known here.
const NOT_KEPT: [&str; 11] = [
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

pub(super) fn expression(text: &str, zone: Zone) -> Result<Expression, SearchError> {
    if text.chars().count() > MAX_CHARACTERS {
        return Err(SearchError::TooLong);
    }
    let tokens = tokens(text)?;
    if tokens.iter().filter(|token| matches!(token, Token::Word(_))).count() > MAX_TERMS {
        return Err(SearchError::TooLong);
    }
    if tokens.is_empty() {
        return Ok(Expression::default());
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), zone };
    let expression = parser.any()?;
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

/// Characters, each with whether it was quoted and so stands only for itself.
type Word = Vec<(char, bool)>;

fn tokens(text: &str) -> Result<Vec<Token>, SearchError> {
    let (mut tokens, mut word, mut quote) = (Vec::new(), Word::new(), None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => word.extend(characters.next().map(|next| (next, true))),
            (close, Some(open)) if close == open => quote = None,
            (inside, Some(_)) => word.push((inside, true)),
            ('"', None) => quote = Some('"'),
            ('\'', None) if is_before_a_value(&word) => quote = Some('\''),
            ('(' | ')', None) => {
                end(&mut word, &mut tokens);
                tokens.push(if character == '(' { Token::Open } else { Token::Close });
            }
            ('-', None) if word.is_empty() => tokens.push(Token::Not),
            (blank, None) if blank.is_whitespace() => end(&mut word, &mut tokens),
            (other, None) => word.push((other, false)),
        }
    }
    if quote.is_some() {
        return Err(SearchError::UnclosedQuote);
    }
    end(&mut word, &mut tokens);
    Ok(tokens)
}

/// An apostrophe inside a word is no quote.
fn is_before_a_value(word: &Word) -> bool {
    word.last()
        .is_none_or(|last| [':', '>', '<', '='].map(|sign| (sign, false)).contains(last))
}

fn end(word: &mut Word, tokens: &mut Vec<Token>) {
    let word = std::mem::take(word);
    if !word.is_empty() {
        let plain = word.iter().all(|(_, quoted)| !quoted);
        tokens.push(match spelled(&word).as_str() {
            "AND" if plain => Token::And,
            "OR" if plain => Token::Or,
            "NOT" if plain => Token::Not,
            _ => Token::Word(word),
        });
    }
}

fn spelled(word: &[(char, bool)]) -> String {
    word.iter().map(|(character, _)| character).collect()
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    zone: Zone,
}

impl Parser {
    /// `… OR …`
    fn any(&mut self) -> Result<Expression, SearchError> {
        let mut parts = vec![self.all()?];
        while self.tokens.next_if_eq(&Token::Or).is_some() {
            parts.push(self.all()?);
        }
        Ok(single(parts, Expression::Any))
    }

    /// `… …` or `… AND …`
    fn all(&mut self) -> Result<Expression, SearchError> {
        let mut parts = vec![self.one()?];
        loop {
            match self.tokens.peek() {
                None | Some(Token::Close | Token::Or) => return Ok(single(parts, Expression::All)),
                Some(Token::And) => {
                    self.tokens.next();
                    parts.push(self.one()?);
                }
                Some(Token::Open | Token::Not | Token::Word(_)) => parts.push(self.one()?),
            }
        }
    }

    fn one(&mut self) -> Result<Expression, SearchError> {
        let misplaced = |name: &str| Err(SearchError::Misplaced(name.to_owned()));
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(Expression::Term(term(&word, self.zone)?)),
            Some(Token::Not) => Ok(Expression::Not(Box::new(self.one()?))),
            Some(Token::Open) => {
                let inside = self.any()?;
                let closed = self.tokens.next_if_eq(&Token::Close);
                closed.map(|_| inside).ok_or(SearchError::UnpairedParenthesis)
            }
            Some(Token::Close) => Err(SearchError::UnpairedParenthesis),
            Some(Token::And) => misplaced("AND"),
            Some(Token::Or) => misplaced("OR"),
            None => misplaced("an operator or a parenthesis"),
        }
    }
}

fn single(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn term(word: &[(char, bool)], zone: Zone) -> Result<Term, SearchError> {
    let Some(colon) = word.iter().position(|character| *character == (':', false)) else {
        return Ok(Term::Text(TextField::Any, pattern(word)));
    };
    let (field, value) = word.split_at(colon);
    let (field, value) = (spelled(field), value.get(1..).unwrap_or_default());
    let (comparison, value) = comparison(value);
    let text = |text_field| match comparison {
        Comparison::Equal => Ok(Term::Text(text_field, pattern(value))),
        Comparison::Above | Comparison::AtLeast | Comparison::Below | Comparison::AtMost => {
            Err(SearchError::NotComparable(field.clone()))
        }
    };
    match field.as_str() {
        "country" => text(TextField::Country),
        "created_at" => Ok(Term::Created(comparison, span("created_at", value, zone)?)),
        "email" => text(TextField::Email),
        "first_name" => text(TextField::FirstName),
        "id" | "customer_id" => text(TextField::Id),
        "last_name" => text(TextField::LastName),
        "points" => Ok(Term::Points(comparison, points(value)?)),
        "tag" => text(TextField::Tag),
        "tier" => text(TextField::Tier),
        "updated_at" => Ok(Term::Updated(comparison, span("updated_at", value, zone)?)),
        known if NOT_KEPT.contains(&known) => Err(SearchError::NotKept(field)),
        _ => Err(SearchError::UnknownField(field)),
    }
}

/// What a value is compared by: the signs before it, unless they are quoted.
fn comparison(value: &[(char, bool)]) -> (Comparison, &[(char, bool)]) {
    let sign = |index: usize| value.get(index).filter(|(_, quoted)| !quoted).map(|(sign, _)| *sign);
    let (comparison, signs) = match (sign(0), sign(1)) {
        (Some('>'), Some('=')) => (Comparison::AtLeast, 2),
        (Some('<'), Some('=')) => (Comparison::AtMost, 2),
        (Some('>'), _) => (Comparison::Above, 1),
        (Some('<'), _) => (Comparison::Below, 1),
        (Some('='), _) => (Comparison::Equal, 1),
        _ => (Comparison::Equal, 0),
    };
    (comparison, value.get(signs..).unwrap_or_default())
}

fn pattern(word: &[(char, bool)]) -> Pattern {
    match word.split_last() {
        Some((('*', false), beginning)) => Pattern::new(spelled(beginning), true),
        _ => Pattern::new(spelled(word), false),
    }
}

fn points(value: &[(char, bool)]) -> Result<i64, SearchError> {
    let text = spelled(value);
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = SearchError::InvalidValue { field: "points", wanted: "a whole number" };
    text.parse().ok().filter(|_| whole).ok_or(wrong)
}

fn span(field: &'static str, value: &[(char, bool)], zone: Zone) -> Result<Span, SearchError> {
    let text = spelled(value);
    let found = if text.len() == 10 { day(&text, zone) } else { instant(&text) };
    let wanted = "a date such as 2026-01-31 or a time such as '2026-01-31T10:00:00Z'";
    found.ok_or(SearchError::InvalidValue { field, wanted })
}

fn day(text: &str, zone: Zone) -> Option<Span> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = NaiveDate::from_str(text).ok().filter(|_| plain)?;
    let start = |date: NaiveDate| zone.instant(date.and_time(NaiveTime::MIN)).ok();
    Span::until(start(date)?, start(date.succ_opt()?)?)
}

fn instant(text: &str) -> Option<Span> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    Some(Span { first: at, last: at })
}
