//! Measures the source of the three crates, tests aside, and prints a Markdown table.
//!
//! ```text
//! cargo run -p loyalty-tests --bin measure               the table
//! cargo run -p loyalty-tests --bin measure -- circles    each circle of modules, with all uses that make it
//! ```
//!
//! The kits for testers, `proptest` and `conformance`, are not measured either, but their circles
//! count. A line of code is neither blank nor only a comment. A p90 is the smallest value that nine
//! tenths of all values do not exceed.
//!
//! - *module heads*: files that begin with a `//!` comment, in percent.
//! - *file lines*: all lines of a file, with blank ones and comments.
//! - *function lines*: from the signature to the closing brace, without attributes and docs, of all
//!   that is written as a function with a body; what macros make is not.
//! - *blank lines in functions*: their share of all lines in functions of twelve lines or more.
//! - *inline comments*: lines with a `//` comment that is no doc comment, per hundred lines of
//!   code.
//! - *line width*: characters of a line of code, with its indentation.
//! - *doc examples*: code blocks of doc comments, and of the files that `#[doc = include_str!(…)]`
//!   names, that `cargo test --doc` compiles: neither `text` nor `ignore` nor another language.
//! - *modules on a circle*: see [`Graph`]; a file each, and with each module of the root as one.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a tool may stop at what it did not expect"
)]

use std::path::Path;

use loyalty_tests::structure::{CRATES, Graph, Source, from_disk, load};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The modules that are there for tests, also those of other crates.
const KITS: [&str; 2] = ["proptest", "conformance"];

fn main() {
    let graphs = CRATES.map(|name| {
        let sources = load(&format!("{name}/src/lib.rs"), from_disk);
        (name, Graph::new(&sources), sources)
    });

    if std::env::args().nth(1).is_some_and(|word| word == "circles") {
        for (name, graph, _) in &graphs {
            for (graph, level) in [(&graph.top_level(), "the root's modules"), (graph, "files")] {
                for circle in graph.circles() {
                    println!("{name}, {level}: {}\n", graph.describe(&circle, usize::MAX));
                }
            }
        }
        return;
    }

    let figure = |(on_circle, all)| format!("{on_circle} of {all}");
    let circles = graphs
        .each_ref()
        .map(|(_, graph, _)| figure(graph.on_circles()))
        .join(", ");
    let top_level = graphs
        .each_ref()
        .map(|(_, graph, _)| figure(graph.top_level().on_circles()))
        .join(", ");
    let mut measures = Measures::default();
    let program = load("loyalty-http/src/main.rs", from_disk);
    for source in graphs.iter().flat_map(|(_, _, sources)| sources).chain(&program) {
        if !KITS.iter().any(|kit| source.module.starts_with(kit)) {
            measures.add(source);
        }
    }
    measures.print();
    println!("| modules on a circle, core/store/http | {circles} |");
    println!("| the same, the root's modules alone | {top_level} |");
}

/// What is counted, over all files.
#[derive(Default)]
struct Measures {
    heads: usize,
    files: Vec<usize>,
    functions: Vec<usize>,
    long: usize,
    blank: usize,
    comments: usize,
    widths: Vec<usize>,
    examples: usize,
}

impl Measures {
    fn add(&mut self, source: &Source) {
        let lines: Vec<_> = source.lines.iter().flatten().map(|line| line.trim_end()).collect();
        let code: Vec<_> = lines.iter().filter(|line| is_code(line)).collect();
        self.heads += usize::from(lines.first().is_some_and(|line| line.starts_with("//!")));
        self.files.push(lines.len());
        self.widths.extend(code.iter().map(|line| line.chars().count()));
        self.comments += lines.iter().filter(|line| has_comment(line)).count();

        let mut functions = Functions::default();
        functions.visit_file(&source.syntax);
        for (first, last) in functions.0 {
            let lines = &source.lines[first - 1..last];
            self.functions.push(lines.len());
            if lines.len() >= 12 {
                self.long += lines.len();
                self.blank += lines.iter().flatten().filter(|line| line.trim().is_empty()).count();
            }
        }

        self.examples += examples(lines.iter().filter_map(|line| doc(line)));
        for line in &lines {
            if let Some(file) = line
                .strip_prefix("#[doc = include_str!(\"")
                .and_then(|rest| rest.split('"').next())
            {
                let path = Path::new(&source.path).with_file_name(file);
                self.examples += examples(from_disk(path.to_str().unwrap()).unwrap().lines());
            }
        }
    }

    fn print(mut self) {
        let (all, code): (usize, _) = (self.files.iter().sum(), self.widths.len());
        let (heads, count, max) = (self.heads, self.files.len(), *self.files.iter().max().unwrap());
        println!("| | {count} files, {all} lines |\n| --- | --- |");
        println!("| module heads | {} % |", percent(heads, count));
        println!(
            "| file lines median/p90/max | {}/{}/{max} |",
            part(&mut self.files, 50),
            part(&mut self.files, 90)
        );
        let (median, p90) = (part(&mut self.functions, 50), part(&mut self.functions, 90));
        println!("| function lines median/p90 | {median}/{p90} |");
        println!("| blank lines in functions of 12+ | {} % |", percent(self.blank, self.long));
        println!("| inline comments per 100 lines | {} |", percent(self.comments, code));
        println!("| line width p90 | {} |", part(&mut self.widths, 90));
        println!("| doc examples | {} |", self.examples);
    }
}

/// A share in percent, with one digit.
fn percent(part: usize, whole: usize) -> String {
    let tenths = (part * 1000 + whole / 2) / whole;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The smallest value that `percent` of the values do not exceed.
fn part(values: &mut [usize], percent: usize) -> usize {
    values.sort_unstable();
    values[(values.len() * percent).div_ceil(100) - 1]
}

fn is_code(line: &str) -> bool {
    !line.is_empty() && !line.trim_start().starts_with("//")
}

/// Whether a line has a comment that is no doc comment. In a string, `//` seldom has spaces around
/// it.
fn has_comment(line: &str) -> bool {
    doc(line).is_none() && (line.trim_start().starts_with("//") || line.contains(" // "))
}

/// The text of a line that is a doc comment.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
}

/// The code blocks that are compiled as tests.
fn examples<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let (mut open, mut count) = (false, 0);
    for info in lines.filter_map(|line| line.trim_start().strip_prefix("```")) {
        let compiled = ["", "rust", "no_run", "should_panic", "compile_fail"];
        count += usize::from(!open && info.split(',').all(|word| compiled.contains(&word.trim())));
        open = !open;
    }
    count
}

/// The first and last lines of functions.
#[derive(Default)]
struct Functions(Vec<(usize, usize)>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        self.0.push((signature.span().start().line, body.span().end().line));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
