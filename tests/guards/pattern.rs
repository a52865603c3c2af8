//! Patterns over tokens.
//!
//! A pattern is tokens, `$name` for one token or one bracketed group, and `$$name` for any run of these, of which the
//! shortest that fits is taken; it does not leave the brackets that it stands in. A name that comes again must match
//! the same tokens again.

use std::ops::Range;

use crate::tokens::{Token, tree_end};

#[derive(Debug)]
enum Part {
    Token(String),
    Tree(String),
    Run(String),
}

/// A parsed pattern.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<Part>);

/// One place that fits: what matched, and what each name stands for, as ranges of tokens.
#[derive(Debug)]
pub(crate) struct Match<'t> {
    tokens: &'t [Token],
    whole: Range<usize>,
    names: Vec<(String, Range<usize>)>,
}

impl Pattern {
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let mut parts = Vec::new();
        let mut rest = tokens;
        loop {
            let part;
            (part, rest) = match rest {
                [one, two, name, rest @ ..] if one.is("$") && two.is("$") => {
                    (Part::Run(name.text.clone()), rest)
                }
                [sign, name, rest @ ..] if sign.is("$") => (Part::Tree(name.text.clone()), rest),
                [token, rest @ ..] => (Part::Token(token.text.clone()), rest),
                [] => return Self(parts),
            };
            parts.push(part);
        }
    }

    /// Every place where the pattern fits, overlapping ones too.
    pub(crate) fn matches<'t>(&self, tokens: &'t [Token]) -> Vec<Match<'t>> {
        let at = |start| {
            let mut names = Vec::new();
            let end = fit(&self.0, tokens, start, &mut names)?;
            Some(Match { tokens, whole: start..end, names })
        };
        (0..tokens.len())
            .filter_map(at)
            .filter(|found| !found.whole.is_empty())
            .collect()
    }
}

/// Where the parts end that fit from `at` on.
fn fit(
    parts: &[Part],
    tokens: &[Token],
    at: usize,
    names: &mut Vec<(String, Range<usize>)>,
) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else { return Some(at) };
    match part {
        Part::Token(text) => {
            tokens.get(at).filter(|token| token.is(text))?;
            fit(rest, tokens, at.saturating_add(1), names)
        }
        Part::Tree(name) => bind(name, at..tree_end(tokens, at)?, rest, tokens, names),
        Part::Run(name) => {
            let mut end = at;
            loop {
                if let Some(found) = bind(name, at..end, rest, tokens, names) {
                    return Some(found);
                }
                end = tree_end(tokens, end)?;
            }
        }
    }
}

/// Lets the name stand for the range, if it does not stand for other tokens already, and fits the rest.
fn bind(
    name: &str,
    range: Range<usize>,
    rest: &[Part],
    tokens: &[Token],
    names: &mut Vec<(String, Range<usize>)>,
) -> Option<usize> {
    let texts = |range: &Range<usize>| {
        tokens
            .get(range.clone())
            .unwrap_or_default()
            .iter()
            .map(|token| &token.text)
    };
    let known = names.len();
    if names
        .iter()
        .any(|(other, bound)| other == name && !texts(bound).eq(texts(&range)))
    {
        return None;
    }

    let end = range.end;
    names.push((name.to_owned(), range));
    let found = fit(rest, tokens, end, names);
    if found.is_none() {
        names.truncate(known);
    }
    found
}

impl Match<'_> {
    /// The place in the text, in bytes.
    pub(crate) fn range(&self) -> Range<usize> {
        self.bytes(&self.whole)
    }

    fn bytes(&self, range: &Range<usize>) -> Range<usize> {
        match self.tokens.get(range.clone()) {
            Some([only]) => only.range.clone(),
            Some([first, .., last]) => first.range.start..last.range.end,
            Some([]) | None => 0..0,
        }
    }

    /// The template with each `$name` and `$$name` as it stands in the text. Fails with a name that the pattern lacks.
    pub(crate) fn fill<'r>(&self, template: &'r str, text: &str) -> Result<String, &'r str> {
        let mut filled = String::new();
        let mut parts = template.split('$');
        filled.extend(parts.next());

        for part in parts.filter(|part| !part.is_empty()) {
            let end = part
                .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let (_, range) = self.names.iter().find(|(known, _)| known == name).ok_or(name)?;
            filled.push_str(text.get(self.bytes(range)).unwrap_or_default());
            filled.push_str(rest);
        }
        Ok(filled)
    }
}
