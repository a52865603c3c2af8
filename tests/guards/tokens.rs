//! Source text as a flat list of tokens, without comments and layout.

use std::ops::Range;

use proc_macro2::{Delimiter, LexError, Spacing, Span, TokenStream, TokenTree};

/// Operators of more than one character. `<<` and `>>` are not among them, since `>>` also closes two generics.
const OPERATORS: [&str; 21] = [
    "::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "^=", "&=",
    "|=", "..", "...", "..=", "<-",
];

/// A token and its place in the text, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) range: Range<usize>,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

/// The tokens of Rust source. A trailing comma is left out: formatting adds and removes it.
pub(crate) fn rust(text: &str) -> Result<Vec<Token>, LexError> {
    let mut tokens = Vec::new();
    flatten(text.parse()?, text, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, text: &str, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    let mut joint = false;

    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open, group.span_open(), tokens);
                flatten(group.stream(), text, tokens);
                tokens.pop_if(|last| last.is(","));
                push(close, group.span_close(), tokens);
                joint = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // A doc comment comes as an attribute.
                let is_doc = |tree: &TokenTree| matches!(tree, TokenTree::Group(group) if starts_with_doc(group));
                let inner = trees.next_if(
                    |tree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == '!'),
                );
                if trees.next_if(is_doc).is_none() {
                    push("#", punct.span(), tokens);
                    if let Some(inner) = inner {
                        push("!", inner.span(), tokens);
                    }
                }
                joint = false;
            }
            TokenTree::Punct(punct) => {
                let sign = punct.as_char();
                let end = punct.span().byte_range().end;
                let longer = tokens
                    .last()
                    .filter(|_| joint)
                    .map(|last| format!("{}{sign}", last.text));
                match (
                    longer.filter(|longer| OPERATORS.contains(&longer.as_str())),
                    tokens.last_mut(),
                ) {
                    (Some(longer), Some(last)) => (last.text, last.range.end) = (longer, end),
                    _ => push(&sign.to_string(), punct.span(), tokens),
                }
                joint = punct.spacing() == Spacing::Joint;
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => {
                let span = tree.span();
                push(text.get(span.byte_range()).unwrap_or_default(), span, tokens);
                joint = false;
            }
        }
    }
}

fn starts_with_doc(group: &proc_macro2::Group) -> bool {
    matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

fn push(text: &str, span: Span, tokens: &mut Vec<Token>) {
    tokens.push(Token { text: text.to_owned(), range: span.byte_range() });
}

/// The tokens of text within a string literal that begins at `start`: words, and single signs.
pub(crate) fn words(text: &str, start: usize) -> Vec<Token> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut tokens = Vec::<Token>::new();
    let mut letters = text.char_indices().peekable();

    while let Some((at, letter)) = letters.next() {
        let breaks_line = letter == '\\' && letters.peek().is_some_and(|(_, next)| *next == '\n');
        if letter.is_whitespace() || breaks_line {
            continue;
        }
        let mut end = at.saturating_add(letter.len_utf8());
        while is_word(letter)
            && let Some((at, more)) = letters.next_if(|(_, next)| is_word(*next))
        {
            end = at.saturating_add(more.len_utf8());
        }
        let range = start.saturating_add(at)..start.saturating_add(end);
        tokens.push(Token {
            text: text.get(at..end).unwrap_or_default().to_owned(),
            range,
        });
    }
    tokens
}

/// The end of the token tree at `at`, past its closing bracket. None at a closing bracket, and at the end.
pub(crate) fn tree_end(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth = depth.saturating_add(1),
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(index.saturating_add(1));
        }
    }
    None
}
