//! Where a file's master keys are: given, in a file of their own, or in one beside the database
//! that is made when there is none yet.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use zeroize::Zeroizing;

use super::file::{beside, private};
use super::tables::access;
use crate::error::Failure;
use crate::seal::{MasterKey, MasterKeys};

/// Where the master keys come from.
#[derive(Clone, Debug, Default)]
pub enum MasterKeySource {
    /// A file beside the database, with `.master-key` added to its name. It is made with mode 0600
    /// where the database has nothing that is sealed.
    #[default]
    Beside,
    /// This file, which must exist.
    File(PathBuf),
    /// These keys.
    Keys(MasterKeys),
}

impl MasterKeySource {
    /// Loads the keys of a database, and checks that they open all that is sealed in it.
    ///
    /// # Errors
    /// [`Failure::MasterKey`], which names what is missing.
    pub(super) fn load(&self, database: &Path, db: &Connection) -> Result<MasterKeys, Failure> {
        let sealed_by = access::read_master_key_ids(db)?;
        let (keys, place) = match self {
            Self::Keys(keys) => (keys.clone(), "given".to_owned()),
            Self::File(path) => (read(path)?.ok_or_else(|| lost(path, database))?, within(path)),
            Self::Beside => {
                let path = beside(database, ".master-key");
                let keys = match read(&path)? {
                    Some(keys) => keys,
                    None if sealed_by.is_empty() => create(&path)?,
                    None => return Err(lost(&path, database)),
                };
                (keys, within(&path))
            }
        };

        let is_known = |id| keys.iter().any(|key| key.id() == id);
        match sealed_by.into_iter().find(|id| !is_known(*id)) {
            None => Ok(keys),
            Some(id) => Err(Failure::MasterKey(format!(
                "the secrets in {} are sealed with the master key {id}, but the one {place} is \
                 {}: give the key that belongs to this file",
                database.display(),
                keys.first().id()
            ))),
        }
    }

    /// Returns the file that holds the keys; none if they were given.
    pub(super) fn file(&self, database: &Path) -> Option<PathBuf> {
        match self {
            Self::Beside => Some(beside(database, ".master-key")),
            Self::File(path) => Some(path.clone()),
            Self::Keys(_) => None,
        }
    }
}

fn within(path: &Path) -> String {
    format!("in {}", path.display())
}

fn lost(path: &Path, database: &Path) -> Failure {
    Failure::MasterKey(format!(
        "there is no master key in {}, which the secrets in {} need: put the file back, or give \
         the key another way",
        path.display(),
        database.display()
    ))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::MasterKey(format!("the master key in {}: {error}", path.display()))
}

/// Reads the keys of a file, if there is one. The first is the one that seals.
fn read(path: &Path) -> Result<Option<MasterKeys>, Failure> {
    let mut text = Zeroizing::new(String::new());
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => MasterKeys::parse(&text)
            .map(Some)
            .map_err(|error| failed(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

/// Makes a file with a new key. Where another process has made one meanwhile, its key is taken.
fn create(path: &Path) -> Result<MasterKeys, Failure> {
    let key = MasterKey::draw().map_err(|error| failed(path, error))?;
    let keys = MasterKeys::new(vec![key]).map_err(|error| failed(path, error))?;
    let temporary = temporary(path);
    write(&temporary, &keys)?;
    // A link, since it fails where there is a file already: no half written file is ever seen.
    let linked = std::fs::hard_link(&temporary, path);
    let removed = std::fs::remove_file(&temporary);
    match linked {
        Ok(()) => removed
            .and_then(|()| sync_folder(path))
            .map_err(|error| failed(path, error))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return read(path)?.ok_or_else(|| failed(path, "it was removed"));
        }
        Err(error) => return Err(failed(path, error)),
    }
    Ok(keys)
}

/// Puts keys into a file in place of those that it has.
pub(super) fn replace(path: &Path, keys: &MasterKeys) -> Result<(), Failure> {
    let temporary = temporary(path);
    write(&temporary, keys)?;
    std::fs::rename(&temporary, path)
        .and_then(|()| sync_folder(path))
        .map_err(|error| failed(path, error))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}

/// Writes a file that only its owner can read, and syncs it.
fn write(path: &Path, keys: &MasterKeys) -> Result<(), Failure> {
    let mut text = Zeroizing::new(String::new());
    for key in keys.iter() {
        text.push_str(key.text().expose());
        text.push('\n');
    }
    // One that is left was never used.
    let _ = std::fs::remove_file(path);
    let created = private().write(true).create_new(true).open(path);
    let written = created.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| failed(path, error))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
