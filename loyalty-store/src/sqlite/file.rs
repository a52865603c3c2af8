//! The database file itself: one store serves it, it stays the same file, and its write-ahead log is
//! its own.
//!
//! SQLite finds the log by its name alone. If the file is replaced while its log is left, the log is
//! read into a file that it was not written for. So what served a file is noted in the lock file
//! beside it, and a log is looked at before anything is done with it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Failure;

/// The files that stores of this process serve. The system's locks do not tell those apart, and
/// closing a second handle would release SQLite's locks of the first.
static SERVED: Mutex<BTreeSet<FileIdentity>> = Mutex::new(BTreeSet::new());

/// The length of a write-ahead log's header. A log that is no longer has nothing.
const WAL_HEADER: u64 = 32;

/// A file that is locked for one store, by whatever path it is opened: also by a symbolic or a hard
/// link.
pub(super) struct FileLock {
    /// Locked, and the place of the notes.
    notes: Mutex<File>,
    /// The database file itself, locked too. None if there is none.
    file: Option<(File, FileIdentity)>,
}

impl FileLock {
    /// Locks a file for as long as the lock lives. An empty one is made if there is none.
    ///
    /// # Errors
    /// Fails if another store serves the file.
    pub(super) fn acquire(path: &Path) -> Result<Self, Failure> {
        Self::acquire_with(path, true)
    }

    /// Locks a file, or its place if there is none.
    ///
    /// # Errors
    /// Fails if a store serves the file.
    pub(super) fn acquire_place(path: &Path) -> Result<Self, Failure> {
        Self::acquire_with(path, false)
    }

    fn acquire_with(path: &Path, create: bool) -> Result<Self, Failure> {
        let served = || unavailable(path, "another process is serving this file");
        let notes = private()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside(path, ".lock"))
            .map_err(|error| unavailable(path, error))?;
        notes.try_lock().map_err(|_| served())?;

        if FileIdentity::of(path).is_ok_and(|identity| lock_served().contains(&identity)) {
            return Err(served());
        }
        if !create && !path.exists() {
            return Ok(Self { notes: Mutex::new(notes), file: None });
        }
        let file = private()
            .create(create)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| unavailable(path, error))?;
        file.try_lock().map_err(|_| served())?;

        let identity = FileIdentity::of(path)?;
        lock_served().insert(identity);
        Ok(Self { notes: Mutex::new(notes), file: Some((file, identity)) })
    }

    /// Notes which file is served, and whether it has a shop. A note that cannot be written costs
    /// some safety only.
    pub(super) fn note(&self, path: &Path, has_shop: bool) {
        if let Some((_, FileIdentity([_, inode]))) = self.file {
            self.write_notes(path, inode, has_shop);
        }
    }

    /// Notes that another file with a shop was put at the path.
    pub(super) fn note_replacement(&self, path: &Path) {
        if let Ok(FileIdentity([_, inode])) = FileIdentity::of(path) {
            self.write_notes(path, inode, true);
        }
    }

    fn write_notes(&self, path: &Path, file: u64, has_shop: bool) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let result = notes.metadata().and_then(|metadata| {
            let [_, lock] = device_and_inode(&metadata);
            let text = Notes { lock, file, has_shop }.to_text();
            notes.set_len(0)?;
            notes.rewind()?;
            notes.write_all(text.as_bytes())
        });
        if let Err(error) = result {
            tracing::warn!(file = %path.display(), %error, "the lock file could not be written");
        }
    }
}

/// Options for files that only their owner can read and write, if they are created. SQLite gives
/// its log the same mode.
pub(super) fn private() -> OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates an empty file that only its owner can read and write, unless there is one. A file that
/// is there is not opened: closing it would release locks of SQLite.
pub(super) fn create_private(path: &Path) -> Result<(), Failure> {
    match private().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(unavailable(path, error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Warns if others than the owner can read a file.
pub(super) fn warn_if_readable(path: &Path) {
    #[cfg(unix)]
    if let Ok(found) = std::fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o077 != 0
    {
        tracing::warn!(
            file = %path.display(),
            "other users of this machine can read the file, which has personal data: chmod 600"
        );
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if let Some((_, identity)) = &self.file {
            lock_served().remove(identity);
        }
    }
}

fn lock_served() -> MutexGuard<'static, BTreeSet<FileIdentity>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the lock file says about the last store that served the file beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Notes {
    /// The inode of the lock file: in a copy of the folder the notes do not count.
    lock: u64,
    /// The inode of the database file.
    file: u64,
    has_shop: bool,
}

impl Notes {
    fn to_text(self) -> String {
        let Self { lock, file, has_shop } = self;
        format!("loyalty 1\nlock {lock}\nfile {file}\nshop {}\n", u8::from(has_shop))
    }

    /// Reads the notes beside a file; `None` if there are none that count.
    fn read(path: &Path) -> Option<Self> {
        let lock = beside(path, ".lock");
        let text = std::fs::read_to_string(&lock).ok()?;
        let mut lines = text.strip_prefix("loyalty 1\n")?.lines();
        let mut number = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            value.parse::<u64>().ok()
        };
        let notes = Self {
            lock: number("lock")?,
            file: number("file")?,
            has_shop: number("shop")? == 1,
        };
        let [_, inode] = device_and_inode(&std::fs::metadata(lock).ok()?);
        (notes.lock == inode).then_some(notes)
    }
}

/// Checks that the log beside a file was not written for a file that was there before.
///
/// # Errors
/// [`Failure::Unavailable`], which names the files that do not belong together.
pub(super) fn ensure_own_log(path: &Path) -> Result<(), Failure> {
    let Some(log) = uncheckpointed_log(path) else { return Ok(()) };
    let Ok(FileIdentity([_, found])) = FileIdentity::of(path) else {
        return Ok(());
    };
    match Notes::read(path) {
        Some(notes) if notes.file != found => Err(foreign_log(path, &log)),
        _ => Ok(()),
    }
}

/// Returns `true` if neither a file nor its log has pages that the file had when the log began.
///
/// The first commit of a log tells the length of the file after it. Pages beyond the file that this
/// commit has not written must have been there before.
pub(super) fn lacks_pages(path: &Path, log: &Path) -> std::io::Result<bool> {
    /// Pages that a commit can add and free again, without writing them.
    const MAX_UNWRITTEN: usize = 4;
    let file_length = std::fs::metadata(path)?.len();
    let mut log = std::io::BufReader::new(File::open(log)?);
    let mut header = [0; 32];
    log.read_exact(&mut header)?;
    let [_, _, page_size, _, salt_1, salt_2, ..] = numbers(&header);
    if page_size == 0 {
        return Ok(false);
    }

    let mut written = BTreeSet::new();
    let mut frame = [0; 24];
    loop {
        log.read_exact(&mut frame)?;
        let [page, pages_after_commit, frame_salt_1, frame_salt_2, ..] = numbers(&frame);
        if (frame_salt_1, frame_salt_2) != (salt_1, salt_2) {
            return Ok(false);
        }
        written.insert(u64::from(page));
        if pages_after_commit > 0 {
            let in_file = file_length.checked_div(u64::from(page_size)).unwrap_or(0);
            let beyond = in_file.saturating_add(1)..=u64::from(pages_after_commit);
            let lacking = beyond.filter(|page| !written.contains(page));
            return Ok(lacking.take(MAX_UNWRITTEN + 1).count() > MAX_UNWRITTEN);
        }
        log.seek_relative(i64::from(page_size))?;
    }
}

/// Reads the first numbers of a header, which are big-endian.
fn numbers(bytes: &[u8]) -> [u32; 6] {
    let mut numbers = [0; 6];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
        *number = bytes.try_into().map_or(0, u32::from_be_bytes);
    }
    numbers
}

/// Returns the failure of a file beside a log that is not its own.
pub(super) fn foreign_log(path: &Path, log: &Path) -> Failure {
    unavailable(
        path,
        format!(
            "{} is the log of another file: put that file back, or move the log away to use this \
             file without it",
            log.display()
        ),
    )
}

/// Returns the log beside a file if it has something that the file may lack.
pub(super) fn uncheckpointed_log(path: &Path) -> Option<PathBuf> {
    let log = beside(path, "-wal");
    let length = std::fs::metadata(&log).ok()?.len();
    (length > WAL_HEADER).then_some(log)
}

/// Returns what beside a path says that a store with a shop was there, if anything does.
pub(super) fn trace_of_store(path: &Path) -> Option<PathBuf> {
    uncheckpointed_log(path).or_else(|| {
        let notes = Notes::read(path).filter(|notes| notes.has_shop);
        notes.map(|_| beside(path, ".lock"))
    })
}

/// Returns the path of a file that belongs to a database file. Symbolic links to it have the same.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name: OsString = resolved.into_os_string();
    name.push(suffix);
    name.into()
}

pub(super) fn unavailable(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(format!("{}: {error}", path.display()))
}

/// Identifies the file that was opened at a path. A commit into a file that was removed or replaced
/// since would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileIdentity([u64; 2]);

impl FileIdentity {
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        std::fs::metadata(path)
            .map(|found| Self(device_and_inode(&found)))
            .map_err(|error| unavailable(path, error))
    }

    /// Checks that the same file is still at the path.
    pub(super) fn ensure_unchanged(self, path: &Path) -> Result<(), Failure> {
        if Self::of(path)? == self {
            return Ok(());
        }
        let text = "the file was replaced while in use: restore it, or restart the server";
        Err(unavailable(path, text))
    }
}

#[cfg(unix)]
fn device_and_inode(found: &Metadata) -> [u64; 2] {
    use std::os::unix::fs::MetadataExt;
    [found.dev(), found.ino()]
}

/// On other systems an open file cannot be replaced.
#[cfg(not(unix))]
fn device_and_inode(_: &Metadata) -> [u64; 2] {
    [0; 2]
}

/// Returns the sizes of the database file and of its log, in bytes; 0 for one that is not there.
pub(super) fn sizes(path: &Path) -> (u64, u64) {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    (size(path), size(&beside(path, "-wal")))
}
