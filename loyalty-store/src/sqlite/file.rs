//! The database file itself: one store serves it, and it stays the same file.

use std::fs::File;
use std::path::Path;

use crate::error::Failure;

/// Locks a file for one store, by whatever path it is opened. The lock lasts as long as the returned
/// file is open.
///
/// # Errors
/// Fails if another process serves the file.
pub(super) fn lock_file(path: &Path) -> Result<File, Failure> {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = resolved.into_os_string();
    name.push(".lock");

    let unavailable = |error: String| Failure::Unavailable(format!("{}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(name);
    let file = file.map_err(|error| unavailable(error.to_string()))?;
    file.try_lock()
        .map_err(|_| unavailable("another process is serving this file".to_owned()))?;
    Ok(file)
}

/// Identifies the file that was opened at a path. A commit into a file that was removed or replaced
/// since would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity([u64; 2]);

impl FileIdentity {
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let unavailable = |error| Failure::Unavailable(format!("{}: {error}", path.display()));
        std::fs::metadata(path)
            .map(|found| Self(device_and_inode(&found)))
            .map_err(unavailable)
    }

    /// Checks that the same file is still at the path.
    pub(super) fn ensure_unchanged(self, path: &Path) -> Result<(), Failure> {
        if Self::of(path)? == self {
            return Ok(());
        }
        let text = "the file was replaced while in use: restore it, or restart the server";
        Err(Failure::Unavailable(format!("{}: {text}", path.display())))
    }
}

#[cfg(unix)]
fn device_and_inode(found: &std::fs::Metadata) -> [u64; 2] {
    use std::os::unix::fs::MetadataExt;
    [found.dev(), found.ino()]
}

/// On other systems an open file cannot be replaced.
#[cfg(not(unix))]
fn device_and_inode(_: &std::fs::Metadata) -> [u64; 2] {
    [0; 2]
}
