//! The power is cut: the files are built again from recorded writes and syncs, as they were on the disk at
//! each acknowledgement.
//!
//! What was not synced yet is gone, or some of it is there: a disk may have written any part of it.
//! `LOYALTY_POWER_CUTS=all cargo test -p loyalty-tests --test crash power` cuts at every acknowledgement
//! instead of at some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use loyalty_store::{SqliteStore, Store};
use loyalty_tests::*;

use crate::shim::Shim;
use crate::victim::{
    CHECKPOINT_OFTEN, KEEP_LOG, Victim, action, desk, number_of, prepare, settings,
};

/// How many cuts an ordinary run makes, beside those at the first acknowledgements: what a start has found may be
/// on the disk by the next ones.
const CUTS: usize = 40;
const FIRST_CUTS: usize = 10;

/// One thing that the shim recorded.
enum Record {
    Write { file: String, offset: usize, data: Vec<u8> },
    Truncate { file: String, size: usize },
    Sync { file: String },
    Output(String),
}

/// A file: what is surely on the disk, and what was written since.
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
    /// What is on the disk if some of what was not synced came there.
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

/// A folder that is watched, with a new file of a shop in it.
struct RecordedFolder(tempfile::TempDir);

impl RecordedFolder {
    fn new() -> Self {
        let watched = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(watched.folder()).unwrap();
        prepare(&watched.file());
        watched
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

    /// Works with the shim until enough was acknowledged, and answers the records.
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

/// Works from a new file on until its log has begun anew, and answers the files before and the records.
fn record_from_new_file(
    shim: &Shim,
    more: &[(&str, &str)],
) -> (BTreeMap<String, Contents>, Vec<Record>) {
    // On a quick disk more is acknowledged before the log is as long.
    for acknowledged in [300, 900, 2_700] {
        let watched = RecordedFolder::new();
        let before = Contents { durable: watched.read("loyalty.db"), pending: Vec::new() };
        let records =
            watched.record_victim(shim, acknowledged, &[&[(CHECKPOINT_OFTEN, "1")], more].concat());
        let begins = |record: &&Record| matches!(record, Record::Write { file, offset: 0, .. } if file == "loyalty.db-wal");
        if records.iter().filter(begins).count() > 1 {
            return (BTreeMap::from([("loyalty.db".to_owned(), before)]), records);
        }
    }
    panic!("the log never began anew")
}

fn parse(mut log: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    // The last record may be cut off by the kill.
    while log.len() >= 14 {
        let (head, rest) = log.split_at(14);
        let names = usize::from(head[1]);
        let length = usize::try_from(u32::from_ne_bytes(head[2..6].try_into().unwrap())).unwrap();
        let offset = usize::try_from(u64::from_ne_bytes(head[6..14].try_into().unwrap())).unwrap();
        if rest.len() < names + length {
            break;
        }
        let (file, rest) = (String::from_utf8(rest[..names].to_vec()).unwrap(), &rest[names..]);
        let data = rest[..length].to_vec();
        records.push(match head[0] {
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

/// What was said up to here, line by line, as far as lines are whole.
fn acknowledged_lines(said: &str) -> Vec<(&str, &str)> {
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    whole
        .lines()
        .filter_map(|line| line.strip_prefix("done ")?.split_once(' '))
        .collect()
}

/// Starts a store on the files and looks for all that was acknowledged. Answers what is wrong.
fn check_recovery(files: &BTreeMap<String, Vec<u8>>, said: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    open_and_check(&directory.path().join("loyalty.db"), said).err()
}

fn open_and_check(file: &Path, said: &str) -> Result<(), String> {
    let store = SqliteStore::open(file, &settings()).map_err(|failure| failure.to_string())?;
    let differences = store.verify().map_err(|failure| failure.to_string())?.differences;
    if !differences.is_empty() {
        return Err(format!("{differences:?}"));
    }
    for (key, answer) in acknowledged_lines(said) {
        let again = desk(&store)
            .execute_with_key(key, action(key, number_of(key)))
            .map_err(|failure| failure.to_string())?;
        if expect_stored(Ok(again)) != (200, answer.to_owned(), true) {
            return Err(format!("{key} was acknowledged and is not there"));
        }
    }
    Ok(())
}

/// Cuts the power at acknowledgements, each time with nothing of what was not synced, and with some of it.
/// Answers how many cuts there were, and the first that lost something.
fn cut_power(start: BTreeMap<String, Contents>, records: Vec<Record>) -> (usize, Option<String>) {
    let all = records
        .iter()
        .filter(|record| matches!(record, Record::Output(_)))
        .count();
    let every =
        if std::env::var("LOYALTY_POWER_CUTS").is_ok() { 1 } else { all.div_ceil(CUTS).max(1) };
    let (mut files, mut said, mut seen, mut cuts) = (start, String::new(), 0_usize, 0);
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
                files.entry(file).or_default().pending.push(Change::Size(size))
            }
            Record::Sync { file } => files.entry(file).or_default().sync(),
            Record::Output(text) => {
                said.push_str(&text);
                seen += 1;
                if seen > FIRST_CUTS && !seen.is_multiple_of(every) {
                    continue;
                }
                cuts += 1;
                let mut some = || {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 0
                };
                let nothing = files
                    .iter()
                    .map(|(name, file)| (name.clone(), file.after_power_loss(|| false)))
                    .collect();
                let parts = files
                    .iter()
                    .map(|(name, file)| (name.clone(), file.after_power_loss(&mut some)))
                    .collect();
                if let Some(wrong) =
                    check_recovery(&nothing, &said).or_else(|| check_recovery(&parts, &said))
                {
                    return (cuts, Some(wrong));
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

/// The control: a store that answers before its log is on the disk, as SQLite does at `synchronous=NORMAL`.
#[test]
fn without_log_syncs_a_power_cut_loses_acknowledged_requests() {
    let Some(shim) = Shim::build() else { return };
    let (start, records) = record_from_new_file(&shim, &[("SHIM_FORGET", "-wal")]);
    assert!(
        cut_power(start, records).1.is_some(),
        "nothing was lost, so this test proves nothing"
    );
}

/// What a killed process has written is read by the next one, and may never have been synced. Whoever is told of it
/// at the next start can rely on it.
#[test]
fn log_entries_found_at_start_survive_a_power_cut() {
    let Some(shim) = Shim::build() else { return };
    let watched = RecordedFolder::new();
    let mut killed = Victim::start(&watched.file(), 0, &[(KEEP_LOG, "1")]);
    killed.lines("done", 200);
    killed.kill();
    let database = Contents { durable: watched.read("loyalty.db"), pending: Vec::new() };
    let log = Contents {
        durable: Vec::new(),
        pending: vec![Change::Write(0, watched.read("loyalty.db-wal"))],
    };
    let start =
        BTreeMap::from([("loyalty.db".to_owned(), database), ("loyalty.db-wal".to_owned(), log)]);
    // The same requests once more: each is answered as it was.
    let (cuts, lost) = cut_power(start, watched.record_victim(&shim, 100, &[]));
    assert_eq!(lost, None);
    assert!(cuts >= 30, "only {cuts} cuts");
}
