//! No modules of a crate form a circle: each can be read with the modules that it uses, and without
//! those that use it.

use loyalty_tests::structure::{CRATES, Graph, from_disk, load};

/// Neither files, nor modules of a root with all that is in them.
#[test]
fn no_modules_form_a_circle() {
    let mut found = Vec::new();
    for name in CRATES {
        let graph = Graph::new(&load(&format!("{name}/src/lib.rs"), from_disk));
        for graph in [graph.top_level(), graph] {
            let circles = graph.circles();
            found.extend(
                circles
                    .iter()
                    .map(|circle| format!("{name}: {}", graph.describe(circle, 1))),
            );
        }
    }
    assert!(found.is_empty(), "modules form circles:\n{}", found.join("\n\n"));
}

/// The engine serves every durable backend.
#[test]
fn the_engine_contains_no_sql() {
    let statements = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"BEGIN", "\"PRAGMA "];
    for source in load("loyalty-store/src/lib.rs", from_disk) {
        if source.module != "engine" && !source.module.starts_with("engine::") {
            continue;
        }
        for line in source.lines.iter().flatten() {
            let named = line.contains("rusqlite") || line.contains("crate::sqlite");
            let is_sql = statements.iter().any(|statement| line.contains(statement));
            assert!(!named && !is_sql, "{}: {line}", source.path);
        }
    }
}

/// The circles of a crate, given as the texts of its files below `src`.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let text = |path: &str| {
        files
            .iter()
            .find(|(file, _)| path == format!("src/{file}"))
            .map(|(_, text)| *text)
    };
    let graph = Graph::new(&load("src/lib.rs", |path| text(path).map(str::to_owned)));
    graph
        .circles()
        .iter()
        .map(|circle| graph.describe(circle, 1))
        .collect()
}

/// Whether the modules `a` and `b` form a circle, where `b` uses `a::A`.
fn a_uses_b(root: &str, a: &str) -> bool {
    let root = format!("mod a; mod b; {root}");
    let b = "use crate::a::A; pub struct B; pub fn f() {} pub mod inner { pub struct Deep; }";
    !circles(&[("lib.rs", &root), ("a.rs", &format!("pub struct A;\n{a}")), ("b.rs", b)]).is_empty()
}

#[test]
fn a_circle_is_reported_with_a_use_on_each_edge() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B;\npub struct A;"),
        ("b.rs", "pub struct B;\n\nfn f(_: super::c::C) {}"),
        ("c.rs", "pub struct C(crate::a::A);"),
        ("d.rs", "use crate::{a::A, b::B, c::C};"),
    ]);

    let expected = "a -> b -> c -> a\n  a -> b\n    src/a.rs:1  crate::b::B\n  b -> c\n    src/b.rs:3  super::c::C\n  \
                    c -> a\n    src/c.rs:1  crate::a::A";
    assert_eq!(found, [expected]);
}

#[test]
fn every_kind_of_path_is_a_use() {
    for used in [
        "use crate::b::B;",
        "use super::{b::{self, B as Other}};",
        "use crate::b::*;",
        "use crate::b; fn f() { b::f() }",
        "fn f() -> Option<crate::b::B> { None }",
        "fn f() { super::b::f() }",
        "fn f() { println!(\"{}\", crate::b::B) }",
        "#[serde(with = \"crate::b::f\")] struct C;",
        "mod inner { fn f() { super::super::b::f() } }",
        "use crate::b::inner::Deep;",
        "macro_rules! m { () => { $crate::b::f() }; }",
    ] {
        assert!(a_uses_b("", used), "{used}");
    }
}

#[test]
fn other_paths_are_no_use() {
    for unused in [
        "",
        "use crate::b;",
        "use other::b::B;",
        "use ::b::B;",
        "fn f(b: u8) -> u8 { b }",
        "/// See [`crate::b::B`].\nstruct C;",
        "#[cfg(test)]\nuse crate::b::{B};\nstruct C;",
        "\n/// A test's.\n#[cfg(test)]\nmod tests {\n  use crate::b::B;\n}",
        "struct C; impl C {\n  #[cfg(test)]\n  fn f() {\n    crate::b::f();\n  }\n}",
    ] {
        assert!(!a_uses_b("", unused), "{unused}");
    }
}

#[test]
fn a_re_export_leads_to_the_module_that_defines_the_item() {
    assert!(a_uses_b("pub use b::B;", "use crate::B;"));
    assert!(a_uses_b("pub use b::B as Other;", "fn f(_: super::Other) {}"));
    assert!(a_uses_b("pub use b::*;", "use crate::f;"));
    assert!(a_uses_b(
        "pub use b::inner; pub use inner::Deep;",
        "use crate::*; fn f(_: Deep) {}"
    ));
    assert!(!a_uses_b("pub use b::B; pub struct C;", "use crate::C;"));
    // The name of a module and of a function in it.
    assert!(a_uses_b("pub use b::f as b;", "use crate::b; fn g() { b() }"));

    let parent = [
        ("lib.rs", "mod a; mod c;"),
        ("a/mod.rs", "mod x; mod y; pub use x::X;"),
        ("a/x.rs", "pub struct X(crate::c::C);"),
        ("a/y.rs", ""),
        ("c.rs", "pub struct C(crate::a::X);"),
    ];
    assert_eq!(circles(&parent).len(), 1);
}

#[test]
fn parents_and_their_children_may_use_each_other() {
    let mut files = [
        ("lib.rs", "mod a; pub struct Root; pub use a::A;"),
        ("a.rs", "mod x; mod y; pub struct A(x::X, y::Y); pub use x::X as Other;"),
        ("a/x.rs", "pub struct X(super::A, crate::Root);"),
        ("a/y.rs", "pub struct Y(super::x::X);"),
    ];
    assert!(circles(&files).is_empty());

    // Children of one parent may not.
    files[2].1 = "pub struct X(super::y::Y);";
    assert_eq!(circles(&files).len(), 1);
    files[3].1 = "pub struct Y(super::Other);";
    assert_eq!(circles(&files).len(), 1);
}
