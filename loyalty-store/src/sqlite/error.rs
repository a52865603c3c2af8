//! Errors of SQLite as failures.

use crate::error::Failure;

/// Returns `true` if a file could not be written. A commit whose last page was not written did not
/// happen; after a failed sync it may have.
fn is_failed_write(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_IOERR_WRITE)
}

/// Damage is final; all else may pass.
impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        let unreadable = matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)
        );
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt(error.to_string()),
            Some(DiskFull) => Self::Unwritable(error.to_string()),
            _ if is_failed_write(&error) => Self::Unwritable(error.to_string()),
            _ if unreadable => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
