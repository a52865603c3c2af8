//! The checkpoint: the position up to which all tables are complete.

use rusqlite::Connection;

use crate::engine::CheckpointPosition;
use crate::error::Failure;

pub(crate) fn read_checkpoint(db: &Connection) -> Result<CheckpointPosition, Failure> {
    Ok(db.query_row("SELECT seq, response FROM checkpoint", [], |row| {
        Ok(CheckpointPosition { seq: row.get(0)?, response: row.get(1)? })
    })?)
}

pub(crate) fn write_checkpoint(
    db: &Connection,
    CheckpointPosition { seq, response }: CheckpointPosition,
) -> Result<(), Failure> {
    db.prepare_cached("UPDATE checkpoint SET seq = ?, response = ?")?
        .execute([seq, response])?;
    Ok(())
}

/// Has the open transaction write and sync, whatever it contains. SQLite writes nothing if no value
/// differs, so the value is changed and changed back.
pub(crate) fn force_write(db: &Connection) -> Result<(), Failure> {
    let position = read_checkpoint(db)?;
    let changed = CheckpointPosition { response: position.response.wrapping_add(1), ..position };
    write_checkpoint(db, changed)?;
    write_checkpoint(db, position)
}
