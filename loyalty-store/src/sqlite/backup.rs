//! Backups: a copy of a file at one instant, also while it is served, and the way back.
//!
//! `VACUUM INTO` reads in one transaction, so a copy is a prefix of what was acknowledged, whatever
//! is written meanwhile. It leaves free pages out: what was deleted is in no copy. A copy is made
//! under another name, folded, synced, and only then gets its name.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::admin::{SqliteAdmin, verify};
use super::file::{FileIdentity, FileLock, beside, uncheckpointed_log};
use super::schema;
use crate::error::Failure;
use crate::query::VerificationReport;

/// A backup that was made and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What its journal has.
    pub report: VerificationReport,
}

/// A backup that was put in the place of a database file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the file is now that was in its place, with its log beside it.
    pub replaced: Option<PathBuf>,
    /// The format of the backup, if it is older than the one that the restored file has now.
    pub older_format: Option<i64>,
    /// What its journal has.
    pub report: VerificationReport,
}

/// The reason why no backup was made or restored. No file was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// States of the copy differ from its journal.
    #[error(
        "{} is damaged: {}{first}",
        .file.display(),
        if *count > 1 { format!("{count} states differ from the journal, the first: ") } else { String::new() }
    )]
    Damaged {
        /// The file that was copied.
        file: PathBuf,
        /// The number of differences.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// The file that would be written exists.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The file has nothing in it.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// Another process makes a backup of the same name.
    #[error("another process is writing {}", .0.display())]
    InProgress(PathBuf),
    /// The file has tables, but no shop. So is a copy of a served file without its log.
    #[error("{} has no shop: was it copied without its log?", .0.display())]
    NoShop(PathBuf),
    /// The backup would be written over the file that is backed up, or read from it.
    #[error("{} is the database file itself, or belongs to it", .0.display())]
    SameFile(PathBuf),
    /// A file cannot be opened, read or written.
    #[error("{}: {failure}", .file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// The reason.
        #[source]
        failure: Failure,
    },
}

impl SqliteAdmin {
    /// Copies a database file as it is now, verifies the copy by folding its journal, and gives it
    /// its name. A store may be serving the file: requests go on, but the write-ahead log is not
    /// cut until the copy is made. If `overwrite` is true, a file of that name is replaced. Only
    /// the owner can read the copy.
    ///
    /// Costs a read of the file, a write of the copy, and a verification.
    ///
    /// # Errors
    /// Fails if the copy cannot be made, has no shop, or has states that differ from its journal.
    /// There is no file under the name then, or still the one that was there.
    ///
    /// # Example: a backup beside a running store
    /// ```
    /// use loyalty_core::{Currency, Zone};
    /// use loyalty_store::{NewShop, SqliteAdmin, SqliteStore, Store, StoreSettings};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let (file, copy) = (directory.path().join("loyalty.db"), directory.path().join("copy.db"));
    /// let store = SqliteStore::open(&file, &StoreSettings::default())?;
    /// let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
    /// store.create_shop(&shop, "2026-01-31T10:00:00Z".parse()?)?;
    ///
    /// let backup = SqliteAdmin::back_up(&file, &copy, false)?;
    /// assert_eq!(backup.report.differences, Vec::<String>::new());
    /// assert!(SqliteAdmin::back_up(&file, &copy, false).is_err(), "it is not overwritten");
    /// # Ok(()) }
    /// ```
    pub fn back_up(db: &Path, to: &Path, overwrite: bool) -> Result<Backup, BackupError> {
        ensure_apart(db, to)?;
        if !overwrite && to.exists() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let failed = |failure| BackupError::Failed { file: db.to_owned(), failure };
        let source = schema::open_for_backup(db).map_err(failed)?;
        schema::ensure_current_format(&source).map_err(failed)?;

        let partial = PartialFile::create(to)?;
        partial.copy_from(&source, db)?;
        drop(source);

        let report = ensure_sound(&partial.path, db)?;
        let bytes = partial.publish(to, overwrite)?;
        Ok(Backup { file: to.to_owned(), bytes, report })
    }

    /// Puts a backup in the place of a database file. The backup itself is not changed. It is copied,
    /// moved to the newest format and verified first. The replaced file is kept beside it, with its
    /// log. Stopped at any point, either file is in its place, or none and the replaced one is kept.
    ///
    /// # Errors
    /// Fails if a store serves the file, or the backup is not one: not a database, empty, damaged,
    /// without a shop, of a newer format. Nothing has changed then.
    ///
    /// # Example: back to yesterday
    /// ```
    /// use loyalty_core::{Currency, Zone};
    /// use loyalty_store::{NewShop, SqliteAdmin};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let (file, copy) = (directory.path().join("loyalty.db"), directory.path().join("copy.db"));
    /// let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
    /// SqliteAdmin::open(&file)?.create_shop(&shop, "2026-01-31T10:00:00Z".parse()?)?;
    /// SqliteAdmin::back_up(&file, &copy, false)?;
    /// SqliteAdmin::open(&file)?.create_shop(&shop, "2026-02-01T10:00:00Z".parse()?)?;
    ///
    /// let restored = SqliteAdmin::restore(&file, &copy)?;
    /// assert_eq!(SqliteAdmin::open_unchanged(&file)?.shops()?.len(), 1);
    /// let replaced = restored.replaced.ok_or("nothing was replaced")?;
    /// assert_eq!(SqliteAdmin::open_unchanged(&replaced)?.shops()?.len(), 2);
    /// # Ok(()) }
    /// ```
    pub fn restore(db: &Path, from: &Path) -> Result<Restored, BackupError> {
        ensure_apart(db, from)?;
        let failed = |failure| BackupError::Failed { file: from.to_owned(), failure };
        if !from.exists() {
            return Err(failed(Failure::Unavailable("there is no such file".to_owned())));
        }
        let place = db.canonicalize().unwrap_or_else(|_| db.to_owned());
        let lock = FileLock::acquire_place(&place)
            .map_err(|failure| BackupError::Failed { file: db.to_owned(), failure })?;

        let source = schema::open_for_backup(from).map_err(failed)?;
        if !schema::has_tables(&source).map_err(failed)? {
            return Err(BackupError::Empty(from.to_owned()));
        }
        let older_format = schema::older_format(&source).map_err(failed)?;

        let partial = PartialFile::create(&place)?;
        partial.copy_from(&source, from)?;
        drop(source);
        if older_format.is_some() {
            schema::migrate_copy(&partial.path).map_err(failed)?;
        }
        let report = ensure_sound(&partial.path, from)?;

        take_owner(&place, &partial.file);
        let replaced = partial.put_in_place(&place)?;
        lock.note_replacement(&place);
        Ok(Restored { replaced, older_format, report })
    }
}

/// Copies a file of an older format beside itself before it is moved to the newest. Returns the name
/// of the copy, or `None` if the file is not older.
pub(super) fn keep_older_format(path: &Path) -> Result<Option<PathBuf>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let source = schema::open_for_backup(path)?;
    let Some(format) = schema::older_format(&source)? else {
        return Ok(None);
    };

    let copy = free_name(path, &format!(".format-{format}"));
    let partial = PartialFile::create(&copy).and_then(|partial| {
        partial.copy_from(&source, path)?;
        partial.publish(&copy, false)
    });
    let text = "the file has an older format and cannot be copied before it is changed";
    match partial {
        Ok(_) => Ok(Some(copy)),
        Err(BackupError::Failed { failure: Failure::Unwritable(reason), .. }) => {
            Err(Failure::Unwritable(format!("{text}: {reason}")))
        }
        Err(error) => Err(Failure::Unavailable(format!("{text}: {error}"))),
    }
}

/// Checks that a backup is neither a database file nor one of the files beside it.
fn ensure_apart(db: &Path, backup: &Path) -> Result<(), BackupError> {
    let same = || Err(BackupError::SameFile(backup.to_owned()));
    if let (Ok(db), Ok(backup)) = (FileIdentity::of(db), FileIdentity::of(backup))
        && db == backup
    {
        return same();
    }
    let resolved = resolve_folder(backup);
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        if beside(db, suffix) == resolved || resolve_folder(&beside(db, suffix)) == resolved {
            return same();
        }
    }
    Ok(())
}

/// Resolves symbolic links of a file's folder. The file need not exist.
fn resolve_folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Folds a copy.
fn ensure_sound(copy: &Path, of: &Path) -> Result<VerificationReport, BackupError> {
    let failed = |failure| BackupError::Failed { file: of.to_owned(), failure };
    let admin = SqliteAdmin::open_unchanged(copy).map_err(failed)?;
    if admin.shops().map_err(failed)?.is_empty() {
        return Err(BackupError::NoShop(of.to_owned()));
    }
    let report = verify(&admin.lock_db()).map_err(failed)?;
    match report.differences.first() {
        None => Ok(report),
        Some(first) => Err(BackupError::Damaged {
            file: of.to_owned(),
            count: report.differences.len(),
            first: first.clone(),
        }),
    }
}

/// A file that does not have its name yet. It is removed unless it gets it. One that a killed process
/// has left is used again.
struct PartialFile {
    path: PathBuf,
    file: File,
    is_done: bool,
}

impl PartialFile {
    fn create(to: &Path) -> Result<Self, BackupError> {
        let path = with_suffix(to, ".partial");
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| failed_at(&path, &error))?;
        file.try_lock().map_err(|_| BackupError::InProgress(to.to_owned()))?;

        restrict(&file).map_err(|error| failed_at(&path, &error))?;
        file.set_len(0).map_err(|error| failed_at(&path, &error))?;
        // Else SQLite would roll the empty file back to what a killed process has left.
        remove_if_there(&with_suffix(&path, "-journal"))
            .map_err(|error| failed_at(&path, &error))?;
        Ok(Self { path, file, is_done: false })
    }

    /// Copies a database into the file.
    fn copy_from(&self, source: &Connection, name: &Path) -> Result<(), BackupError> {
        let failed = |failure| BackupError::Failed { file: name.to_owned(), failure };
        let Some(path) = self.path.to_str() else {
            let text = "the name of the backup is not UTF-8".to_owned();
            return Err(failed(Failure::Unavailable(text)));
        };
        let copied = source.execute("VACUUM INTO ?", [path]);
        copied.map(drop).map_err(|error| failed(Failure::from(error)))
    }

    /// Syncs the file and gives it its name. Returns its size.
    fn publish(mut self, to: &Path, overwrite: bool) -> Result<u64, BackupError> {
        let published = self.file.sync_all().and_then(|()| {
            if overwrite {
                std::fs::rename(&self.path, to)
            } else {
                // Unlike a rename, a link fails if there is a file of that name.
                std::fs::hard_link(&self.path, to)?;
                std::fs::remove_file(&self.path)
            }
        });
        match published {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(to.to_owned()));
            }
            published => published.map_err(|error| failed_at(to, &error))?,
        }

        self.is_done = true;
        sync_folder(to).map_err(|error| failed_at(to, &error))?;
        let bytes = self.file.metadata().map(|metadata| metadata.len());
        bytes.map_err(|error| failed_at(to, &error))
    }

    /// Puts the file in the place of a database file, which is locked. Returns where that one is now.
    fn put_in_place(mut self, place: &Path) -> Result<Option<PathBuf>, BackupError> {
        self.file.sync_all().map_err(|error| failed_at(&self.path, &error))?;
        let replaced = set_aside(place).map_err(|error| failed_at(place, &error))?;

        std::fs::rename(&self.path, place).map_err(|error| failed_at(place, &error))?;
        self.is_done = true;
        sync_folder(place).map_err(|error| failed_at(place, &error))?;
        Ok(replaced)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // Whatever is left is used again.
            let _ = std::fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// Moves a database file and its log away, so that the name is free. Returns the new name.
///
/// The file goes before its log: a file without its log would be served as if nothing were missing.
fn set_aside(place: &Path) -> std::io::Result<Option<PathBuf>> {
    let is_there = place.exists();
    let log = uncheckpointed_log(place);
    let aside = free_name(place, ".replaced");

    if is_there {
        std::fs::rename(place, &aside)?;
    }
    if let Some(log) = &log {
        std::fs::rename(log, with_suffix(&aside, "-wal"))?;
    }
    for suffix in ["-wal", "-shm"] {
        remove_if_there(&beside(place, suffix))?;
    }
    sync_folder(place)?;
    Ok((is_there || log.is_some()).then_some(aside))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the first name that no file has: with the suffix, or a number after it.
fn free_name(path: &Path, suffix: &str) -> PathBuf {
    let first = with_suffix(path, suffix);
    let others = (2_u32..).map(|number| with_suffix(path, &format!("{suffix}-{number}")));
    let is_free = |name: &PathBuf| !name.exists() && !with_suffix(name, "-wal").exists();
    std::iter::once(first.clone())
        .chain(others)
        .find(is_free)
        .unwrap_or(first)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed_at(path: &Path, error: &std::io::Error) -> BackupError {
    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let failure = if is_full {
        Failure::Unwritable(error.to_string())
    } else {
        Failure::Unavailable(error.to_string())
    };
    BackupError::Failed { file: path.to_owned(), failure }
}

/// Has only the owner read and write a file.
#[cfg(unix)]
fn restrict(file: &File) -> std::io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// Gives a file the owner of another one. Who may not do that is the owner of both already.
#[cfg(unix)]
fn take_owner(of: &Path, file: &File) {
    use std::os::unix::fs::MetadataExt;
    if let Ok(metadata) = std::fs::metadata(of) {
        let _ = std::os::unix::fs::fchown(file, Some(metadata.uid()), Some(metadata.gid()));
    }
}

#[cfg(not(unix))]
fn take_owner(_: &Path, _: &File) {}

/// Syncs the names in a file's folder.
#[cfg(unix)]
fn sync_folder(of: &Path) -> std::io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
