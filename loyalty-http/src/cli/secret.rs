//! Showing secrets once: to a terminal, or where the operator asks for it; elsewhere, such as in
//! the log of a service, they would stay, so they go into a file that only its owner can read.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

/// Where secrets are shown.
#[derive(Args, Clone, Copy)]
pub(crate) struct ShowSecrets {
    /// Print keys and secrets even where standard output is no terminal. Otherwise they are
    /// written into a file beside the database that only its owner can read.
    #[arg(long, env = "LOYALTY_PRINT_KEY")]
    print_key: bool,
}

/// A secret to show, with its name.
pub(crate) type NamedSecret<'a> = (&'static str, &'a str);

/// How secrets were shown.
pub(crate) enum Shown {
    /// They are to be printed.
    Printed,
    /// They are in this file.
    File(PathBuf),
}

impl ShowSecrets {
    /// Decides how to show secrets, and writes the file if it must be one. Its name has `label`.
    pub(crate) fn show(
        self,
        database: &Path,
        label: &str,
        secrets: &[NamedSecret<'_>],
    ) -> Result<Shown, String> {
        if self.print_key || std::io::stdout().is_terminal() {
            return Ok(Shown::Printed);
        }
        let mut path = database.as_os_str().to_owned();
        path.push(format!(".{label}"));
        let path = PathBuf::from(path);
        let lines = secrets.iter().map(|(name, secret)| format!("{name} {secret}\n"));
        let text = lines.collect::<Vec<_>>().concat();
        let written = private_file(&path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        match written {
            Ok(()) => Ok(Shown::File(path)),
            Err(error) => Err(format!("cannot write {}: {error}", path.display())),
        }
    }
}

/// Creates a file that only its owner can read and write.
fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// Describes secrets to a person: line by line, or the file that has them.
pub(crate) fn describe(shown: &Shown, secrets: &[NamedSecret<'_>]) -> String {
    match shown {
        Shown::Printed => {
            let lines = secrets.iter().map(|(name, secret)| format!("\n  {name:<7} {secret}"));
            format!("shown only once:{}", lines.collect::<Vec<_>>().concat())
        }
        Shown::File(path) => {
            format!("which only the owner of this file can read:\n  {}", path.display())
        }
    }
}

/// Adds secrets to a JSON object, or the file that has them.
pub(crate) fn add_to(object: &mut serde_json::Value, shown: &Shown, secrets: &[NamedSecret<'_>]) {
    let Some(members) = object.as_object_mut() else { return };
    match shown {
        Shown::Printed => {
            let secrets = secrets.iter();
            members.extend(secrets.map(|(name, text)| ((*name).to_owned(), (*text).into())));
        }
        Shown::File(path) => {
            members.insert("file".to_owned(), path.display().to_string().into());
        }
    }
}
