//! Planted breakages: small changes of the source, each with the test that must notice it.
//!
//! The breakages are data, a file for each family below `breakages`. A breakage has edits, and each edit replaces one
//! match of a pattern within one item. Formatting does not affect it, nor does a move to another file:
//!
//! ```toml
//! [window-inclusive]
//! guard = "tiers follow spending"
//! broken = "a window counts the instant of its end"
//! fails = "cargo test -p loyalty-core --test dates tiers_end_with_their_window"
//! [[window-inclusive.edit]]
//! item = "rolling"
//! find = "$end <= at"
//! replace = "$end < at"
//! ```
//!
//! - `item` is the end of an item's path: `rolling`, `tier::rolling`, `Writer::commit`, `Store for SqliteStore::ready`.
//!   Several items may have that name: the pattern must match once in all of them together.
//! - `find` is a pattern: tokens, `$name` for one token or one bracketed group, `$$name` for a run of these. Whitespace,
//!   comments and trailing commas are no tokens.
//! - `replace` is the new text; each name stands for what it matched.
//! - `in_string = true` searches string literals instead, where words and signs are tokens.
//!
//! A pattern that names little fits longest. Braces around the body of a match arm are formatting, too: it is better to
//! find the body than `=>` and the body.

mod items;
mod pattern;
mod switch;
#[cfg(test)]
mod tests;
mod tokens;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use items::Item;
use pattern::Pattern;
use serde::Deserialize;
use tokens::Token;

const CRATES: [&str; 3] = ["loyalty-core", "loyalty-store", "loyalty-http"];

/// A change that some test must notice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakage {
    /// What must hold.
    pub guard: String,
    /// What the breakage does to it.
    pub broken: String,
    /// The command that must fail.
    pub fails: String,
    /// The changes. Each is found in the source before any of them.
    pub edit: Vec<Edit>,
}

/// One replacement.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The end of the path of the item that is changed.
    pub item: String,
    /// The pattern, which must be found once.
    pub find: String,
    /// The new text.
    pub replace: String,
    /// True where the pattern is found within string literals.
    #[serde(default)]
    pub in_string: bool,
}

/// Why breakages cannot be read or planted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// A file of breakages is not well formed.
    #[error("{}: {error}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: toml::de::Error,
    },
    /// A source file or a pattern is no sequence of tokens.
    #[error("no tokens: {0}")]
    Lex(String),
    /// No item has the name.
    #[error("there is no item `{0}`")]
    NoItem(String),
    /// The pattern is not found once.
    #[error("`{find}` is found {times} times in `{item}`")]
    NotOnce {
        /// The item.
        item: String,
        /// The pattern.
        find: String,
        /// The number of places.
        times: usize,
    },
    /// The replacement names something that the pattern does not.
    #[error("`{find}` does not bind ${name}")]
    Unbound {
        /// The pattern.
        find: String,
        /// The name.
        name: String,
    },
    /// Two edits of a breakage change the same text.
    #[error("two edits overlap in {}", .0.display())]
    Overlap(PathBuf),
}

/// Reads every breakage below the folder, by its full name: that of the file, a dash, that of the table.
pub fn read(folder: &Path) -> Result<BTreeMap<String, Breakage>, Error> {
    let mut breakages = BTreeMap::new();
    for path in files(folder, "toml")? {
        let family = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = read_file(&path)?;
        let tables: BTreeMap<String, Breakage> =
            toml::from_str(&text).map_err(|error| Error::Toml { path: path.clone(), error })?;
        breakages.extend(
            tables
                .into_iter()
                .map(|(name, breakage)| (format!("{family}-{name}"), breakage)),
        );
    }
    Ok(breakages)
}

/// The source of the crates, parsed into items.
#[derive(Debug)]
pub struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    tokens: Vec<Token>,
    items: Vec<Item>,
}

/// A part of a source and its replacement.
#[derive(Debug)]
struct Place<'s> {
    source: &'s Source,
    item: &'s Item,
    range: Range<usize>,
    text: String,
}

impl Sources {
    /// Reads the crates of the workspace at `root`.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mut sources = Vec::new();
        for name in CRATES {
            let folder = root.join(name);
            for path in files(&folder.join("src"), "rs")? {
                let text = read_file(&path)?;
                sources.push(Source::parse(&folder, path, text)?);
            }
        }
        Ok(Self(sources))
    }

    /// Returns the files that the breakage changes, with their new text.
    pub fn plant(&self, breakage: &Breakage) -> Result<Vec<(&Path, String)>, Error> {
        let places: Result<Vec<_>, _> =
            breakage.edit.iter().map(|edit| self.locate(edit)).collect();
        let mut places = places?;
        places.sort_by_key(|place| (&place.source.path, place.range.start));
        let files = places.chunk_by(|one, other| one.source.path == other.source.path);
        let files = files.filter_map(|places| Some((places.first()?.source, places)));
        files
            .map(|(source, places)| Ok((source.path.as_path(), replace(&source.text, places)?)))
            .collect()
    }

    fn locate(&self, edit: &Edit) -> Result<Place<'_>, Error> {
        let items = self
            .0
            .iter()
            .flat_map(|source| source.items.iter().map(move |item| (source, item)));
        let items: Vec<_> = items.filter(|(_, item)| item.is_named(&edit.item)).collect();
        if items.is_empty() {
            return Err(Error::NoItem(edit.item.clone()));
        }

        let lexed = if edit.in_string { tokens::words(&edit.find, 0) } else { lex(&edit.find)? };
        let pattern = Pattern::new(&lexed);
        let mut places = Vec::new();
        for (source, item) in items {
            for tokens in &source.searched(item, edit.in_string) {
                for found in pattern.matches(tokens) {
                    let text =
                        found
                            .fill(&edit.replace, &source.text)
                            .map_err(|name| Error::Unbound {
                                find: edit.find.clone(),
                                name: name.to_owned(),
                            })?;
                    places.push(Place { source, item, range: found.range(), text });
                }
            }
        }

        let times = places.len();
        let only = places.pop().filter(|_| times == 1);
        only.ok_or_else(|| Error::NotOnce {
            item: edit.item.clone(),
            find: edit.find.clone(),
            times,
        })
    }
}

/// Returns the text with each place replaced. The places are of one file, in order.
fn replace(text: &str, places: &[Place<'_>]) -> Result<String, Error> {
    if !places.is_sorted_by(|one, other| one.range.end <= other.range.start) {
        let path = places.first().map(|place| place.source.path.clone());
        return Err(Error::Overlap(path.unwrap_or_default()));
    }

    let mut text = text.to_owned();
    for place in places.iter().rev() {
        text.replace_range(place.range.clone(), &place.text);
    }
    Ok(text)
}

impl Source {
    fn parse(folder: &Path, path: PathBuf, text: String) -> Result<Self, Error> {
        let tokens =
            lex(&text).map_err(|error| Error::Lex(format!("{}: {error}", path.display())))?;
        let within = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace('-', "_");
        let parts = within.iter().filter_map(|part| part.to_str());
        let module: Vec<_> = [name.as_str()]
            .into_iter()
            .chain(parts.filter(|part| !matches!(*part, "src" | "lib" | "mod")))
            .collect();

        let items = items::items(&module, &tokens);
        Ok(Self { path, text, tokens, items })
    }

    /// The lists of tokens to look through: the item's, or one for each of its string literals.
    fn searched(&self, item: &Item, in_string: bool) -> Vec<Cow<'_, [Token]>> {
        let tokens = self.tokens.get(item.tokens.clone()).unwrap_or_default();
        if !in_string {
            return vec![Cow::Borrowed(tokens)];
        }
        let strings = tokens
            .iter()
            .filter(|token| token.text.trim_end_matches('#').ends_with('"'));
        strings
            .map(|token| Cow::Owned(tokens::words(&token.text, token.range.start)))
            .collect()
    }
}

fn lex(text: &str) -> Result<Vec<Token>, Error> {
    tokens::rust(text).map_err(|error| Error::Lex(format!("{error}: {text:.60}")))
}

fn read_file(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::Io { path: path.to_owned(), error })
}

/// The files below the folder with this extension, without tests. A missing folder has none.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::Io { path: folder.to_owned(), error };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
