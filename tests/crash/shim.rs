//! The library between a victim and its disk (`shim.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiled shim.
pub(crate) struct Shim {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Shim {
    /// Compiles it. Prints a note and returns `None` if there is no C compiler.
    pub(crate) fn build() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("crash/shim.c");

        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&path)
            .arg(source)
            .status();
        if compiled.is_ok_and(|status| status.success()) {
            return Some(Self { path, _directory: directory });
        }
        println!("skipped: there is no C compiler here");
        None
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}
