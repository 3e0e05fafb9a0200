//! The state file: a snapshot, and beside it a log of what changed since.
//!
//! `FILE` is the snapshot, replaced as a whole; `FILE.log` has one JSON line for each call that changed something,
//! written before the call is answered; `FILE.lock` is locked while the state is in use. The state is the snapshot with
//! the log's calls carried out again, from the number on that the snapshot includes. A process that is killed loses
//! nothing that it answered; a last line that is torn was never answered.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::{Caller, Snapshot, SnapshotError, State};
use crate::model::{AccountId, Region};

/// The log is folded into the snapshot when it has become larger than this and than the snapshot.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// The state file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses it.
    #[error("`{}` is in use by another process", path.display())]
    Locked {
        /// The state file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("can not {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The snapshot is not JSON of the right shape.
    #[error("`{}` is no sandbox state", path.display())]
    Format {
        /// The state file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The snapshot has the right shape and makes no sense.
    #[error("`{}` is no sandbox state", path.display())]
    Snapshot {
        /// The state file.
        path: PathBuf,
        /// What is wrong with it.
        source: SnapshotError,
    },
    /// A line of the log that is not the last is no change.
    #[error("line {line} of `{}` is damaged", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// An open state file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    log_path: PathBuf,
    log: File,
    log_bytes: u64,
    snapshot_bytes: u64,
    last_number: u64,
    _lock: File,
}

#[derive(Serialize)]
struct Change<'a> {
    n: u64,
    at_ms: i64,
    account: &'a AccountId,
    region: &'a Region,
    operation: &'a str,
    request: &'a Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedChange {
    n: u64,
    at_ms: i64,
    account: AccountId,
    region: Region,
    operation: String,
    request: Value,
}

impl Store {
    /// Opens a state file and locks it; if there is none, makes one of what `seed` gives.
    pub fn open(path: &Path, seed: impl FnOnce() -> State) -> Result<(Self, State), StoreError> {
        let mut store = Self::lock(path)?;
        if let Some(mut state) = store.read_snapshot()? {
            store.replay(&mut state)?;
            return Ok((store, state));
        }
        let state = seed();
        store.save(&state)?;
        Ok((store, state))
    }

    /// An open file of which nothing was read yet.
    fn lock(path: &Path) -> Result<Self, StoreError> {
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
        let lock = lock(path)?;
        let log_path = beside(path, "log");
        let log = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&log_path)
            .map_err(failed("open", &log_path))?;
        Ok(Self {
            path: path.to_owned(),
            log_path,
            log,
            log_bytes: 0,
            snapshot_bytes: 0,
            last_number: 0,
            _lock: lock,
        })
    }

    /// Logs a call that changed the state, which has it already.
    pub fn append(
        &mut self,
        state: &State,
        operation: &str,
        request: &Value,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let change = Change {
            n: self.last_number + 1,
            at_ms: now.as_millisecond(),
            account: &caller.account,
            region: &caller.region,
            operation,
            request,
        };
        let mut line = serde_json::to_vec(&change).map_err(|error| StoreError::Io {
            action: "write",
            path: self.log_path.clone(),
            source: error.into(),
        })?;
        line.push(b'\n');
        self.log
            .write_all(&line)
            .map_err(failed("write", &self.log_path))?;
        self.last_number += 1;
        self.log_bytes += line.len() as u64;
        if self.log_bytes > LOG_BYTES_MAX.max(self.snapshot_bytes) {
            self.save(state)?;
        }
        Ok(())
    }

    /// Whether there are changes that the snapshot does not include.
    pub fn has_log(&self) -> bool {
        self.log_bytes > 0
    }

    /// Writes the whole state as the snapshot and empties the log.
    pub fn save(&mut self, state: &State) -> Result<(), StoreError> {
        let failed = |source: io::Error| StoreError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        };
        let file = tempfile::NamedTempFile::new_in(folder_of(&self.path)).map_err(failed)?;
        let mut writer = BufWriter::new(&file);
        serde_json::to_writer(&mut writer, &state.to_snapshot(self.last_number))
            .map_err(|error| failed(error.into()))?;
        writer.flush().map_err(failed)?;
        drop(writer);
        file.as_file().sync_all().map_err(failed)?;
        let snapshot_bytes = file.as_file().metadata().map_err(failed)?.len();
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        self.log.set_len(0).map_err(failed)?;
        self.snapshot_bytes = snapshot_bytes;
        self.log_bytes = 0;
        Ok(())
    }

    fn read_snapshot(&mut self) -> Result<Option<State>, StoreError> {
        let path = self.path.clone();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        self.snapshot_bytes = file.metadata().map_err(failed("read", &path))?.len();
        let snapshot: Snapshot =
            serde_json::from_reader(BufReader::new(file)).map_err(|source| StoreError::Format {
                path: path.clone(),
                source,
            })?;
        self.last_number = snapshot.includes;
        State::from_snapshot(snapshot)
            .map(Some)
            .map_err(|source| StoreError::Snapshot { path, source })
    }

    /// Carries the logged calls out again and cuts a torn last line off.
    fn replay(&mut self, state: &mut State) -> Result<(), StoreError> {
        let mut text = Vec::new();
        self.log
            .read_to_end(&mut text)
            .map_err(failed("read", &self.log_path))?;
        let mut good_bytes = 0;
        for (index, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
            let is_whole = line.ends_with(b"\n");
            let change: SavedChange = match serde_json::from_slice(line) {
                Ok(change) if is_whole => change,
                _ if good_bytes + line.len() == text.len() => break,
                _ => {
                    return Err(StoreError::Log {
                        path: self.log_path.clone(),
                        line: index + 1,
                    });
                }
            };
            good_bytes += line.len();
            if change.n > self.last_number {
                self.last_number = change.n;
                change.carry_out(state);
            }
        }
        self.log_bytes = good_bytes as u64;
        self.log
            .set_len(self.log_bytes)
            .map_err(failed("write", &self.log_path))
    }
}

/// Makes a state file hold this state, whatever it held before.
pub fn replace(path: &Path, state: &State) -> Result<(), StoreError> {
    let mut store = Store::lock(path)?;
    // Before the snapshot: old changes must never be carried out on the new state.
    store.log.set_len(0).map_err(failed("write", &store.log_path))?;
    store.save(state)
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

impl SavedChange {
    /// What was carried out once is carried out again; an answer is not asked for.
    fn carry_out(self, state: &mut State) {
        let caller = Caller {
            account: self.account,
            region: self.region,
        };
        if let Ok(now) = Timestamp::from_millisecond(self.at_ms) {
            let _answer = state.handle(&self.operation, &self.request, &caller, now);
        }
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = beside(path, "lock");
    let file = File::create(&lock_path).map_err(failed("open", &lock_path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(failed("lock", &lock_path)(error)),
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}
