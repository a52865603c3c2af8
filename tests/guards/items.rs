//! The items of source text, by their paths.

use std::ops::Range;

use crate::tokens::{Token, tree_end};

/// An item: its path from the crate's name on, and its tokens.
///
/// A method's path has its type before it, `Writer::commit`, or `Store for SqliteStore::ready` where the method is a
/// trait's.
#[derive(Debug)]
pub(crate) struct Item {
    path: Vec<String>,
    pub(crate) tokens: Range<usize>,
    /// The body with its braces, of a function that may hold a switch.
    pub(crate) body: Option<Range<usize>>,
}

impl Item {
    pub(crate) fn new(path: &[&str], tokens: Range<usize>, body: Option<Range<usize>>) -> Self {
        Self {
            path: path.iter().map(|&part| part.to_owned()).collect(),
            tokens,
            body,
        }
    }

    /// True for the last segments of the path. A trait may be left out: `SqliteStore::ready`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let same = |part: &String, wanted: &str| {
            part == wanted || part.split(" for ").nth(1) == Some(wanted)
        };
        let mut parts = self.path.iter().rev();
        name.rsplit("::")
            .all(|wanted| parts.next().is_some_and(|part| same(part, wanted)))
    }
}

/// The items of a file with this path, without those that are compiled for tests only.
pub(crate) fn items(path: &[&str], tokens: &[Token]) -> Vec<Item> {
    let mut found = Vec::new();
    walk(path, tokens, 0..tokens.len(), &mut found);
    found
}

fn walk(path: &[&str], tokens: &[Token], within: Range<usize>, found: &mut Vec<Item>) {
    let mut start = within.start;
    while start < within.end {
        let (head, is_test) = skip_attributes(tokens, start);
        let (keyword, end, body) = extent(tokens, head, within.end);
        let name = tokens.get(keyword.saturating_add(1)).map_or("", |token| &token.text);
        let kind = tokens.get(keyword).map_or("", |token| &token.text);

        if !is_test {
            let header = tokens.get(keyword..body.start).unwrap_or_default();
            let implemented = implemented(header);
            let name = match kind {
                "impl" => implemented.as_str(),
                "macro_rules" => {
                    tokens.get(keyword.saturating_add(2)).map_or("", |token| &token.text)
                }
                _ => name,
            };
            let path = [path, &[name]].concat();
            if matches!(kind, "impl" | "trait" | "mod") {
                walk(&path, tokens, body, found);
            } else if !matches!(kind, "use" | "extern") {
                let before = tokens.get(head..keyword).unwrap_or_default();
                let switch = kind == "fn" && may_switch(before, header) && !body.is_empty();
                let body = switch.then(|| body.start.saturating_sub(1)..end);
                found.push(Item::new(&path, start..end, body));
            }
        }
        start = end.max(start.saturating_add(1));
    }
}

/// A constant function cannot read a switch. One that returns `impl Trait` has a single type for all branches.
fn may_switch(before: &[Token], header: &[Token]) -> bool {
    let is_const = before.iter().any(|token| token.is("const"));
    let mut result = header.iter().skip_while(|token| !token.is("->"));
    !is_const && !result.any(|token| token.is("impl"))
}

/// Past the attributes, and whether one of them is `cfg(test)`.
fn skip_attributes(tokens: &[Token], mut at: usize) -> (usize, bool) {
    let mut is_test = false;
    while tokens.get(at).is_some_and(|token| token.is("#")) {
        let inner = tokens.get(at.saturating_add(1)).is_some_and(|token| token.is("!"));
        let open = at.saturating_add(if inner { 2 } else { 1 });
        let end = tree_end(tokens, open).unwrap_or(tokens.len());
        let attribute = tokens.get(open..end).unwrap_or_default();
        is_test |= ["[", "cfg", "(", "test", ")", "]"]
            .iter()
            .eq(attribute.iter().map(|token| &token.text));
        at = end;
    }
    (at, is_test)
}

/// Where an item's keyword stands, where the item ends, and what is within its braces.
fn extent(tokens: &[Token], head: usize, limit: usize) -> (usize, usize, Range<usize>) {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.is(text));
    let mut keyword = head;
    while tokens.get(keyword).is_some_and(|token| match token.text.as_str() {
        "pub" | "async" | "unsafe" | "default" | "(" => true,
        "const" => is(keyword.saturating_add(1), "fn"),
        _ => false,
    }) {
        keyword = tree_end(tokens, keyword).unwrap_or(limit);
    }

    // Braces end an item, but not those of a value or of a list of names.
    let to_semicolon = ["const", "static", "type", "use"]
        .iter()
        .any(|kind| is(keyword, kind));
    let mut at = keyword;
    while at < limit {
        let end = tree_end(tokens, at).unwrap_or(limit);
        if is(at, ";") {
            return (keyword, end, at..at);
        }
        if is(at, "{") && !to_semicolon {
            return (keyword, end, at.saturating_add(1)..end.saturating_sub(1));
        }
        at = end;
    }
    (keyword, limit, limit..limit)
}

/// `Type` or `Trait for Type` of the header of an `impl`, without generics and paths.
fn implemented(header: &[Token]) -> String {
    let mut names = vec![String::new()];
    let mut depth = 0_usize;
    for token in header.iter().skip(1) {
        match token.text.as_str() {
            "<" => depth = depth.saturating_add(1),
            ">" => depth = depth.saturating_sub(1),
            "where" => break,
            "for" if depth == 0 => names.push(String::new()),
            word if depth == 0 && word.starts_with(|first: char| first.is_alphabetic()) => {
                if let Some(last) = names.last_mut() {
                    word.clone_into(last);
                }
            }
            _ => {}
        }
    }
    names.join(" for ")
}
