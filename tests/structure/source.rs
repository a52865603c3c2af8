//! The source of a crate, file by file, without its tests.

use std::fs;
use std::path::Path;

use syn::Item;

/// The crates whose structure is looked at.
pub const CRATES: [&str; 3] = ["loyalty-core", "loyalty-store", "loyalty-http"];

/// One file of a crate.
pub struct Source {
    /// Below the workspace: `loyalty-core/src/account.rs`.
    pub path: String,
    /// The module that the file is: `account::lots`. Empty for the root.
    pub module: String,
    /// Its lines; `None` for those of tests.
    pub lines: Vec<Option<String>>,
    /// What the compiler makes of the lines, with their numbers.
    pub syntax: syn::File,
}

/// A file below the workspace; `None` where there is none.
pub fn from_disk(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).ok()
}

/// All files of the crate whose root is `root`, parents before their children. They are found as
/// the compiler finds them, from `mod` to `mod`.
pub fn load(root: &str, read: impl Fn(&str) -> Option<String>) -> Vec<Source> {
    let directory = Path::new(root).parent().unwrap().display();
    let mut sources = vec![parse(String::new(), &[root.to_owned()], &read)];

    let mut next = 0;
    while let Some(Source { module, syntax, .. }) = sources.get(next) {
        let declared = syntax.items.iter().filter_map(|item| match item {
            Item::Mod(child) if child.content.is_none() => Some(child.ident.to_string()),
            _ => None,
        });

        let children = declared.map(|name| {
            let module = if module.is_empty() { name } else { format!("{module}::{name}") };
            let base = format!("{directory}/{}", module.replace("::", "/"));
            parse(module, &[format!("{base}.rs"), format!("{base}/mod.rs")], &read)
        });
        let children: Vec<_> = children.collect();

        sources.extend(children);
        next += 1;
    }
    sources
}

fn parse(module: String, candidates: &[String], read: impl Fn(&str) -> Option<String>) -> Source {
    let mut files = candidates.iter().filter_map(|path| Some((path, read(path)?)));
    let (path, text) = files.next().unwrap_or_else(|| panic!("{candidates:?} is missing"));

    let lines = without_tests(&text);
    let kept: Vec<_> = lines.iter().map(|line| line.as_deref().unwrap_or_default()).collect();
    let syntax =
        syn::parse_file(&kept.join("\n")).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path: path.clone(), module, lines, syntax }
}

/// The lines of a file, those of items under `#[cfg(test)]` taken out with their docs. Such an item
/// ends as rustfmt ends it: with the first line at its own indentation that closes something.
fn without_tests(text: &str) -> Vec<Option<String>> {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let (mut kept, mut cut) = (Vec::<Option<String>>::new(), None);
    for line in text.lines() {
        if line.trim() == "#[cfg(test)]" {
            cut = Some(indentation(line));
            let docs = kept.iter_mut().rev();
            let is_doc = |line: &Option<String>| {
                line.as_ref().is_some_and(|line| line.trim_start().starts_with("///"))
            };
            docs.take_while(|line| is_doc(line)).for_each(|line| *line = None);
        }
        kept.push(cut.is_none().then(|| line.to_owned()));
        if cut == Some(indentation(line)) && line.ends_with(['}', ';']) {
            cut = None;
        }
    }
    kept
}
