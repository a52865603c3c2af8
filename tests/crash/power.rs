//! Power cuts: the files are rebuilt from recorded writes and syncs, as they were on the
//! disk at each acknowledgement.
//!
//! Writes that were not synced are lost or kept in part, since a disk may write any of
//! them. `LOYALTY_POWER_CUTS=all cargo test -p loyalty-tests --test crash power` cuts at
//! every acknowledgement instead of at some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use loyalty_store::{SqliteStore, Store};
use loyalty_tests::*;

use crate::shim::Shim;
use crate::victim::{
    CHECKPOINT_OFTEN, KEEP_LOG, Victim, action, number_of, prepare, settings, shop,
};

/// Approximate number of cuts of an ordinary run.
const CUTS: usize = 40;
/// Number of first acknowledgements that are always cut at: at later ones, other syncs may
/// have made durable what the start read.
const FIRST_CUTS: usize = 10;

/// An operation that the shim recorded.
enum Record {
    Write { file: String, offset: usize, data: Vec<u8> },
    Truncate { file: String, size: usize },
    Sync { file: String },
    Output(String),
}

/// A file: the bytes surely on the disk, and the changes written since.
#[derive(Clone, Default)]
struct Contents {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Size(usize),
}

impl Contents {
    /// The bytes on the disk if `reached` of the unsynced changes were written.
    fn after_power_loss(&self, mut reached: impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in self.pending.iter().filter(|_| reached()) {
            match change {
                Change::Write(offset, data) => {
                    let end = offset + data.len();
                    bytes.resize(bytes.len().max(end), 0);
                    bytes[*offset..end].copy_from_slice(data);
                }
                Change::Size(size) => bytes.resize(*size, 0),
            }
        }
        bytes
    }

    fn sync(&mut self) {
        self.durable = self.after_power_loss(|| true);
        self.pending.clear();
    }
}

/// A folder whose writes are recorded, with a new file of one shop in it.
struct RecordedFolder(tempfile::TempDir);

impl RecordedFolder {
    fn new() -> Self {
        let recorded = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(recorded.folder()).unwrap();
        prepare(&recorded.file());
        recorded
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("watched")
    }

    fn file(&self) -> PathBuf {
        self.folder().join("loyalty.db")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).unwrap()
    }

    /// Runs a victim with the shim until `acknowledged` requests are acknowledged.
    /// Returns the records.
    fn record_victim(
        &self,
        shim: &Shim,
        acknowledged: usize,
        more: &[(&str, &str)],
    ) -> Vec<Record> {
        let log = self.0.path().join("log");
        let (folder, log_path) = (self.folder().display().to_string(), log.display().to_string());
        let mut environment = vec![
            ("LD_PRELOAD", shim.path()),
            ("SHIM_FOLDER", folder.as_str()),
            ("SHIM_LOG", log_path.as_str()),
        ];
        environment.extend(more);
        let mut victim = Victim::start(&self.file(), 0, &environment);

        victim.lines("done", acknowledged);
        victim.kill();
        parse(&std::fs::read(log).unwrap())
    }
}

/// Runs victims on new files until the log of one restarts. Returns its files before, and
/// the records.
fn record_from_new_file(
    shim: &Shim,
    more: &[(&str, &str)],
) -> (BTreeMap<String, Contents>, Vec<Record>) {
    // On a fast disk more requests are acknowledged before the log is long enough.
    for acknowledged in [300, 900, 2_700] {
        let recorded = RecordedFolder::new();
        let before = Contents { durable: recorded.read("loyalty.db"), pending: Vec::new() };

        let records = recorded.record_victim(
            shim,
            acknowledged,
            &[&[(CHECKPOINT_OFTEN, "1")], more].concat(),
        );
        let restarts = |record: &&Record| matches!(record, Record::Write { file, offset: 0, .. } if file == "loyalty.db-wal");
        if records.iter().filter(restarts).count() > 1 {
            return (BTreeMap::from([("loyalty.db".to_owned(), before)]), records);
        }
    }
    panic!("the log never restarted")
}

fn parse(mut log: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    // The last record may be cut off by the kill.
    while log.len() >= 14 {
        let (header, rest) = log.split_at(14);
        let names = usize::from(header[1]);
        let length = usize::try_from(u32::from_ne_bytes(header[2..6].try_into().unwrap())).unwrap();
        let offset =
            usize::try_from(u64::from_ne_bytes(header[6..14].try_into().unwrap())).unwrap();

        if rest.len() < names + length {
            break;
        }
        let (file, rest) = (String::from_utf8(rest[..names].to_vec()).unwrap(), &rest[names..]);
        let data = rest[..length].to_vec();

        records.push(match header[0] {
            b'W' => Record::Write { file, offset, data },
            b'T' => Record::Truncate { file, size: offset },
            b'S' => Record::Sync { file },
            b'A' => Record::Output(String::from_utf8_lossy(&data).into_owned()),
            other => panic!("no operation {other}"),
        });

        log = &rest[length..];
    }
    records
}

/// The key and response of each complete `done` line printed so far.
fn acknowledged_lines(printed: &str) -> Vec<(&str, &str)> {
    let complete = printed.rfind('\n').map_or("", |end| &printed[..end]);
    complete
        .lines()
        .filter_map(|line| line.strip_prefix("done ")?.split_once(' '))
        .collect()
}

/// Opens a store on the files and looks for all acknowledged requests. Returns the first
/// error.
fn check_recovery(files: &BTreeMap<String, Vec<u8>>, printed: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    open_and_check(&directory.path().join("loyalty.db"), printed).err()
}

fn open_and_check(file: &Path, printed: &str) -> Result<(), String> {
    let store = SqliteStore::open(file, &settings()).map_err(|failure| failure.to_string())?;
    let differences = store.verify().map_err(|failure| failure.to_string())?.differences;
    if !differences.is_empty() {
        return Err(format!("{differences:?}"));
    }

    for (key, response) in acknowledged_lines(printed) {
        let repeated = shop(&store)
            .execute_with_key(key, action(key, number_of(key)))
            .map_err(|failure| failure.to_string())?;
        if expect_stored(Ok(repeated)) != (200, response.to_owned(), true) {
            return Err(format!("{key} was acknowledged and is not there"));
        }
    }
    Ok(())
}

/// Cuts the power at acknowledgements, each time twice: with no unsynced change, and with
/// a random half of them. Returns the number of cuts and the first error.
fn cut_power(start: BTreeMap<String, Contents>, records: Vec<Record>) -> (usize, Option<String>) {
    let output_count = records
        .iter()
        .filter(|record| matches!(record, Record::Output(_)))
        .count();
    let every = if std::env::var("LOYALTY_POWER_CUTS").is_ok() {
        1
    } else {
        output_count.div_ceil(CUTS).max(1)
    };

    let (mut files, mut printed, mut outputs, mut cuts) = (start, String::new(), 0_usize, 0);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;

    for record in records {
        match record {
            Record::Write { file, offset, data } => {
                files
                    .entry(file)
                    .or_default()
                    .pending
                    .push(Change::Write(offset, data));
            }
            Record::Truncate { file, size } => {
                files.entry(file).or_default().pending.push(Change::Size(size));
            }
            Record::Sync { file } => files.entry(file).or_default().sync(),
            Record::Output(text) => {
                printed.push_str(&text);
                outputs += 1;
                if outputs > FIRST_CUTS && !outputs.is_multiple_of(every) {
                    continue;
                }

                cuts += 1;

                let mut random_half = || {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 0
                };

                let synced_only = files
                    .iter()
                    .map(|(name, file)| (name.clone(), file.after_power_loss(|| false)))
                    .collect();
                let partly_synced = files
                    .iter()
                    .map(|(name, file)| (name.clone(), file.after_power_loss(&mut random_half)))
                    .collect();

                if let Some(error) = check_recovery(&synced_only, &printed)
                    .or_else(|| check_recovery(&partly_synced, &printed))
                {
                    return (cuts, Some(error));
                }
            }
        }
    }
    (cuts, None)
}

#[test]
fn acknowledged_requests_survive_a_power_cut() {
    let Some(shim) = Shim::build() else { return };
    let (start, records) = record_from_new_file(&shim, &[]);
    let (cuts, lost) = cut_power(start, records);
    assert_eq!(lost, None);
    assert!(cuts >= 30, "only {cuts} cuts");
}

/// The control: a store that acknowledges before its log is on the disk, as SQLite does
/// at `synchronous=NORMAL`.
#[test]
fn without_log_syncs_a_power_cut_loses_acknowledged_requests() {
    let Some(shim) = Shim::build() else { return };
    let (start, records) = record_from_new_file(&shim, &[("SHIM_FORGET", "-wal")]);
    assert!(
        cut_power(start, records).1.is_some(),
        "nothing was lost, so this control proves nothing"
    );
}

/// A process reads log entries that a killed process wrote and may never have synced.
/// They must be durable once it acknowledges anything that depends on them.
#[test]
fn log_entries_found_at_start_survive_a_power_cut() {
    let Some(shim) = Shim::build() else { return };
    let recorded = RecordedFolder::new();

    let mut victim = Victim::start(&recorded.file(), 0, &[(KEEP_LOG, "1")]);
    victim.lines("done", 200);
    victim.kill();

    let database = Contents { durable: recorded.read("loyalty.db"), pending: Vec::new() };
    let log = Contents {
        durable: Vec::new(),
        pending: vec![Change::Write(0, recorded.read("loyalty.db-wal"))],
    };

    let start =
        BTreeMap::from([("loyalty.db".to_owned(), database), ("loyalty.db-wal".to_owned(), log)]);

    // The same requests are sent again: each gets the stored response.
    let (cuts, lost) = cut_power(start, recorded.record_victim(&shim, 100, &[]));
    assert_eq!(lost, None);
    assert!(cuts >= 30, "only {cuts} cuts");
}
