//! Lists and plants breakages, for `tests/guards/run`.
//!
//! - `list` prints each breakage in a line: name, command that must fail, guard, what is broken, between tabs.
//!   Neighbours break the same crate and run the same tests, so that they share what is compiled.
//! - `plant NAME TREE` changes the source in the folder `TREE`.

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
        _ => Err("usage: list | plant NAME TREE".into()),
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = folder.join("../..");
    let sources = Sources::read(&root)?;
    let broken_crate = |breakage: &Breakage| {
        let files = sources.plant(breakage).unwrap_or_default();
        let path = files.first()?.0.strip_prefix(&root).ok()?;
        Some(path.iter().next()?.to_owned())
    };

    let mut lines = Vec::new();
    for (name, breakage) in loyalty_guards::read(&folder.join("breakages"))? {
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
    let breakages = loyalty_guards::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("breakages"))?;
    let breakage = breakages.get(name).ok_or("no breakage has that name")?;
    for (path, text) in Sources::read(tree)?.plant(breakage)? {
        fs::write(path, text)?;
    }
    Ok(())
}
