//! Lists and plants breakages, for `tests/guards/run`.
//!
//! - `list` prints each breakage in a line: name, command that must fail, guard, what is broken, between tabs.
//!   Neighbours break the same crate and run the same tests, so that they share what is compiled.
//! - `plant NAME TREE` changes the source in the folder `TREE`.
//! - `switch TREE` plants all breakages that can share a build, each behind a switch, and prints their names.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use loyalty_guards::{Breakage, Sources};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["list"] => list(),
        ["plant", name, tree] => plant(name, Path::new(tree)),
        ["switch", tree] => switch(Path::new(tree)),
        _ => Err("usage: list | plant NAME TREE | switch TREE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn list() -> Done {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = Sources::read(&root)?;
    let broken_crate = |breakage: &Breakage| {
        let files = sources.plant(breakage).unwrap_or_default();
        let path = files.first()?.0.strip_prefix(&root).ok()?;
        Some(path.iter().next()?.to_owned())
    };

    let mut lines = Vec::new();
    for (name, breakage) in breakages()? {
        let line = [&name, &breakage.fails, &breakage.guard, &breakage.broken]
            .map(String::as_str)
            .join("\t");
        lines.push((broken_crate(&breakage), breakage.fails, line));
    }
    lines.sort();
    for (.., line) in lines {
        println!("{line}");
    }
    Ok(())
}

fn plant(name: &str, tree: &Path) -> Done {
    let breakages = breakages()?;
    let breakage = breakages.get(name).ok_or("no breakage has that name")?;
    for (path, text) in Sources::read(tree)?.plant(breakage)? {
        fs::write(path, text)?;
    }
    Ok(())
}

fn switch(tree: &Path) -> Done {
    let sources = Sources::read(tree)?;
    let (names, files) = sources.plant_switched(&breakages()?)?;
    for (path, text) in files {
        fs::write(path, text)?;
    }
    println!("{}", names.join("\n"));
    Ok(())
}

fn breakages() -> Result<BTreeMap<String, Breakage>, loyalty_guards::Error> {
    loyalty_guards::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("breakages"))
}
