//! The finder, on small sources.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop where it fails"
)]

use std::path::{Path, PathBuf};

use crate::{Breakage, Edit, Error, Source, Sources};

const SOURCE: &str = r#"
//! Head.
use a::{b, c};

/// A limit.
const LIMIT: usize = { 8 };

const SQL: &str = "
    SELECT id FROM lot
        WHERE shop = ? AND (SELECT count(*) FROM account) > 0";

impl<T: Ord> Tree<T> {
    /// Adds a key, if `a < b`.
    pub(crate) async fn add(&mut self, key: T) -> Vec<Vec<T>> {
        if self.len() >= LIMIT { // a < b
            return (self).grown(key, LIMIT,);
        }
        self.keys.put(key); self.count += 1;
    }

    const fn limit() -> usize { LIMIT }
}

impl<'a> From<&'a str> for tree::Tree<String> {
    fn from(text: &'a str) -> Self { one(text, two(text)) }
}

mod inner {
    pub fn helper() { a.first(); a.second(); b.first(); }
}

#[cfg(test)]
mod tests {
    fn helper() { a.first(); a.second(); b.first(); }
}
"#;

fn sources(files: &[(&str, &str)]) -> Sources {
    let parse = |(path, text): &(&str, &str)| {
        Source::parse(Path::new("loyalty-core"), PathBuf::from(path), (*text).to_owned()).unwrap()
    };
    Sources(files.iter().map(parse).collect())
}

fn edit(item: &str, find: &str, replace: &str) -> Edit {
    Edit {
        item: item.to_owned(),
        find: find.to_owned(),
        replace: replace.to_owned(),
        in_string: false,
    }
}

fn breakage(edit: Vec<Edit>) -> Breakage {
    let [guard, broken, fails] = ["guard", "broken", "fails"].map(str::to_owned);
    Breakage { guard, broken, fails, edit }
}

fn plant(edit: Edit) -> Result<String, Error> {
    let sources = sources(&[("loyalty-core/src/tree.rs", SOURCE)]);
    let [(_, text)] = sources.plant(&breakage(vec![edit]))?.try_into().unwrap();
    Ok(text)
}

/// The only line that the edit changes, after that.
fn line(item: &str, find: &str, replace: &str) -> String {
    let text = plant(edit(item, find, replace)).unwrap();
    assert_eq!(text.lines().count(), SOURCE.lines().count());
    let changed = text.lines().zip(SOURCE.lines()).find(|(now, before)| now != before);
    changed.unwrap().0.trim().to_owned()
}

fn times(item: &str, find: &str) -> usize {
    match plant(edit(item, find, "")) {
        Ok(_) => 1,
        Err(Error::NotOnce { times, .. }) => times,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn items_are_found_by_the_end_of_their_path() {
    assert_eq!(line("LIMIT", "8", "9"), "const LIMIT: usize = { 9 };");
    assert_eq!(line("Tree::limit", "{ LIMIT }", "{ 1 }"), "const fn limit() -> usize { 1 }");
    assert_eq!(line("limit", "LIMIT", "1"), "const fn limit() -> usize { 1 }");
    let from = "fn from(text: &'a str) -> Self { one(text, 2) }";
    for item in
        ["From for Tree::from", "Tree::from", "loyalty_core::tree::From for Tree::from", "from"]
    {
        assert_eq!(line(item, "two($text)", "2"), from, "{item}");
    }
    for item in
        ["Trees::from", "From::from", "other::Tree::from", "b", "loyalty_store::tree::Tree::from"]
    {
        assert!(matches!(plant(edit(item, "two", "2")), Err(Error::NoItem(_))), "{item}");
    }
}

#[test]
fn what_only_tests_compile_is_not_searched() {
    assert_eq!(times("helper", "second"), 1);
    assert!(matches!(plant(edit("tests::helper", "second", "")), Err(Error::NoItem(_))));
}

#[test]
fn items_may_move_to_another_file() {
    let sources = sources(&[
        ("loyalty-core/src/a.rs", "fn other() {}"),
        ("loyalty-core/src/b/c.rs", "fn moved() { 1 }"),
    ]);
    for item in ["moved", "c::moved", "b::c::moved"] {
        let breakage = breakage(vec![edit(item, "1", "2")]);
        let files = sources.plant(&breakage).unwrap();
        assert_eq!(files, [(Path::new("loyalty-core/src/b/c.rs"), "fn moved() { 2 }".to_owned())]);
    }
}

#[test]
fn layout_comments_and_trailing_commas_do_not_matter() {
    assert_eq!(times("Tree::add", "self.len()>=LIMIT{return(self).grown(key,\n\nLIMIT);}"), 1);
    assert_eq!(times("Tree::add", "/* one */ grown(key, LIMIT,);"), 1);
    assert_eq!(times("Tree::add", "a < b"), 0);
    assert_eq!(times("Tree::add", "limit"), 0);
}

#[test]
fn an_operator_is_one_token() {
    assert_eq!(times("Tree::add", ">"), 2);
    assert_eq!(times("Tree::add", ">="), 1);
    assert_eq!(times("Tree::add", "="), 0);
    assert_eq!(times("Tree::add", "-> Vec<Vec<T>>"), 1);
    assert_eq!(times("Tree::add", "Vec<$inner>"), 1);
}

#[test]
fn a_name_stands_for_one_tree() {
    assert_eq!(
        line("Tree::add", "$tree.grown", "$tree.$tree"),
        "return (self).(self)(key, LIMIT,);"
    );
    assert_eq!(times("Tree::add", "grown($one)"), 0);
    assert_eq!(times("Tree::add", "grown($one, $two)"), 1);
    assert_eq!(times("inner::helper", "$a.first(); $a.second();"), 1);
    assert_eq!(times("inner::helper", "$a.second(); $a.first();"), 0);
    assert_eq!(times("inner::helper", "$a.second(); $b.first();"), 1);
    assert_eq!(times("inner::helper", "$a.first();"), 2);
}

#[test]
fn a_run_stays_within_its_brackets() {
    assert_eq!(
        line("Tree::add", "grown($$all)", "shrunk($all)"),
        "return (self).shrunk(key, LIMIT);"
    );
    assert_eq!(times("Tree::add", "grown($$all, LIMIT, $$more)"), 0);
    assert_eq!(times("Tree::add", "len($$none) >= LIMIT"), 1);
    assert_eq!(times("from", "one($$all)"), 1);
    assert_eq!(times("from", "one($$all two)"), 0);
    let shortest = line("inner::helper", "first(); $$less.$call()", "$call($less)");
    assert_eq!(shortest, "pub fn helper() { a.second(a); b.first(); }");
}

#[test]
fn a_name_must_be_bound() {
    let found = plant(edit("Tree::add", "$tree.grown", "$trees.grown"));
    assert!(matches!(found, Err(Error::Unbound { name, .. }) if name == "trees"));
}

#[test]
fn strings_are_searched_by_words() {
    let in_string =
        |find: &str, replace: &str| plant(Edit { in_string: true, ..edit("SQL", find, replace) });
    let text = in_string("WHERE shop=? AND $count > 0", "WHERE $count = 0").unwrap();
    assert!(
        text.contains("lot\n        WHERE (SELECT count(*) FROM account) = 0\";"),
        "{text}"
    );
    assert!(in_string("FROM lot WHERE", "FROM account WHERE").is_ok());
    assert!(matches!(in_string("sho", ""), Err(Error::NotOnce { times: 0, .. })));
    assert!(matches!(in_string("FROM", ""), Err(Error::NotOnce { times: 2, .. })));
    assert!(matches!(in_string("const", ""), Err(Error::NotOnce { times: 0, .. })));
}

#[test]
fn edits_are_of_the_source_before() {
    let sources = sources(&[
        ("loyalty-core/src/a.rs", "fn a() { one(); two(); }"),
        ("loyalty-core/src/b.rs", "fn b() {}"),
    ]);
    let both = |one: Edit, other: Edit| sources.plant(&breakage(vec![one, other]));
    let files = both(edit("a", "two", "one"), edit("a", "one();", "")).unwrap();
    assert_eq!(files, [(Path::new("loyalty-core/src/a.rs"), "fn a() {  one(); }".to_owned())]);
    assert_eq!(both(edit("b", "{}", "{ 1 }"), edit("a", "one", "1")).unwrap().len(), 2);
    assert!(matches!(
        both(edit("a", "one()", ""), edit("a", "(); two", "")),
        Err(Error::Overlap(_))
    ));
}

#[test]
fn breakages_of_functions_share_a_build() {
    let sources = sources(&[("loyalty-core/src/tree.rs", SOURCE)]);
    let edits = [
        ("bound", vec![edit("add", "self.len() >= LIMIT", "self.len() > LIMIT")]),
        ("constant", vec![edit("LIMIT", "8", "9")]),
        ("constant-function", vec![edit("limit", "LIMIT", "1")]),
        ("count", vec![edit("add", "+= 1", "+= 2"), edit("from", "two($t)", "2")]),
        ("partly", vec![edit("helper", "a.first", "a.last"), edit("LIMIT", "8", "9")]),
        ("signature", vec![edit("helper", "helper()", "helper(a: A)")]),
    ];
    let breakages = edits.map(|(name, edits)| (name.to_owned(), breakage(edits))).into();

    let (names, files) = sources.plant_switched(&breakages).unwrap();
    assert_eq!(names, ["bound", "count"]);
    let [(_, text)] = files.try_into().unwrap();
    for (once, times) in [
        ("self.len() > LIMIT", 1),
        ("self.len() >= LIMIT", 2),
        ("+= 2", 1),
        ("+= 1", 2),
        ("{ one(text, 2) }", 1),
        ("{ one(text, two(text)) }", 1),
        ("{ 8 }", 1),
        ("Some(\"bound\") =>", 1),
        ("Some(\"count\") =>", 2),
    ] {
        assert_eq!(text.matches(once).count(), times, "{once}: {text}");
    }
    let parsed: proc_macro2::TokenStream = text.parse().unwrap();
    assert!(!parsed.is_empty());
}
