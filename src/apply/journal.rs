//! What a run did, call by call, on disk before it happens.
//!
//! JSON lines: a header with the whole changeset, then for each change an intent, written before its call is sent,
//! and a result. A run that was killed leaves intents without results; whoever reads the journal asks the registry
//! what became of them.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::changeset::Change;
use crate::changeset::file::Document;
use crate::event::{ChangeResult, Ending};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One line of a journal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(title = "A line of an ecr-retag journal")]
pub enum Line {
    /// The first line: what the run set out to do.
    Header(Box<Header>),
    /// A call is about to be sent.
    Intent(Intent),
    /// A change has come to its end.
    Result(ResultLine),
    /// The last line of a run that came to its end.
    Recap(Recap),
}

/// What the run set out to do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The version of this format.
    pub format_version: String,
    /// The version of ecr-retag.
    pub tool_version: String,
    /// When the run began.
    pub time: String,
    /// What the run was asked: it is carried on only by a run that was asked the same.
    pub question: Question,
    /// The whole changeset.
    pub changeset: Document,
}

/// What a run was asked: plan files, variables, scope, accounts, regions and endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// Each plan file's path and the SHA-256 of its bytes.
    pub sources: Vec<(String, String)>,
    /// Every variable with its value.
    pub variables: Vec<(String, String)>,
    /// `--target`.
    pub targets: Vec<String>,
    /// `--exclude`.
    pub excludes: Vec<String>,
    /// Name, account, region and endpoint of each registry.
    pub registries: Vec<(String, String, String, String)>,
}

/// A call is about to be sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    /// The tag, as the changeset writes it.
    pub address: String,
    /// Where the tag was; null if it did not exist.
    pub before: Option<String>,
    /// Where it will be; null if it goes away.
    pub after: Option<String>,
    /// When.
    pub time: String,
}

/// A change has come to its end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ResultLine {
    /// The tag, as the changeset writes it.
    pub address: String,
    /// Where the tag was; null if it did not exist.
    pub before: Option<String>,
    /// Where it should be; null if it should be gone.
    pub after: Option<String>,
    /// How it ended.
    pub outcome: ResultName,
    /// How many times the call was sent.
    pub attempts: u32,
    /// AWS's id of the request.
    pub request_id: Option<String>,
    /// Why it failed, or where the tag is now.
    pub detail: Option<String>,
    /// When.
    pub time: String,
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultName {
    /// It was made.
    Done,
    /// It was made already.
    AlreadyDone,
    /// Somebody else moved the tag.
    Stale,
    /// It could not be made.
    Failed,
}

/// How the run ended.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Recap {
    /// One of `finished`, `stopped`, `hopeless`, `out_of_time` and `interrupted`.
    pub ending: String,
    /// How many changes were made, or made already.
    pub applied: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were stale.
    pub stale: u64,
    /// How many were not tried.
    pub not_attempted: u64,
    /// When.
    pub time: String,
}

/// A journal that is being written, or none.
pub struct Journal {
    open: Option<Open>,
}

struct Open {
    path: PathBuf,
    file: Arc<File>,
    writing: Mutex<()>,
    clock: Clock,
    is_qualified: bool,
    syncer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Journal {
    /// A journal that keeps nothing.
    pub fn none() -> Self {
        Self { open: None }
    }

    /// Begins a journal in a new file, with the directories it needs, and locks it.
    ///
    /// Fails if the file exists: a journal of another run is never overwritten.
    pub fn create(path: &Path, header: Header, clock: Clock) -> io::Result<Self> {
        if let Some(directory) = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty())
        {
            std::fs::create_dir_all(directory)?;
        }
        let file = File::options().append(true).create_new(true).open(path)?;
        let is_qualified = header.changeset.registries.len() > 1;
        let journal = Self::start(path, file, clock, is_qualified)?;
        journal.write(&Line::Header(Box::new(header)))?;
        Ok(journal)
    }

    /// Goes on writing an unfinished journal; fails with `WouldBlock` if its run still lives.
    pub fn reopen(path: &Path, clock: Clock, is_qualified: bool) -> io::Result<Self> {
        let file = File::options().append(true).read(true).open(path)?;
        let journal = Self::start(path, file, clock, is_qualified)?;
        // A line that was torn when the last run was killed must not swallow the next one.
        journal.append(b"\n")?;
        Ok(journal)
    }

    fn start(path: &Path, file: File, clock: Clock, is_qualified: bool) -> io::Result<Self> {
        file.try_lock()?;
        let file = Arc::new(file);
        let (sender, receiver) = channel::<()>();
        let writes = Arc::clone(&file);
        // Syncing takes milliseconds; whatever was written while one sync ran is covered by the next.
        let syncer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                while receiver.recv().is_ok() {
                    while receiver.try_recv().is_ok() {}
                    // A disk that cannot sync still keeps the line for every crash but its own.
                    let _ = writes.sync_data();
                }
            })?;
        let open = Open {
            path: path.to_owned(),
            file,
            writing: Mutex::new(()),
            clock,
            is_qualified,
            syncer: Some((sender, syncer)),
        };
        Ok(Self { open: Some(open) })
    }

    /// Where the journal is.
    pub fn path(&self) -> Option<&Path> {
        self.open.as_ref().map(|open| open.path.as_path())
    }

    /// Notes that a call is about to be sent.
    pub(super) fn intent(&self, change: &Change) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        self.write(&Line::Intent(Intent {
            address: change.address.to_text(open.is_qualified),
            before: change.action.before().map(|digest| digest.to_string()),
            after: change.action.after().map(|digest| digest.to_string()),
            time: (open.clock)().to_string(),
        }))
    }

    /// Notes how a change ended; one that was not tried is not noted.
    pub(super) fn result(
        &self,
        change: &Change,
        result: &ChangeResult,
        attempts: u32,
        request_id: Option<&str>,
    ) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let (outcome, detail) = match result {
            ChangeResult::Done => (ResultName::Done, None),
            ChangeResult::AlreadyDone => (ResultName::AlreadyDone, None),
            ChangeResult::Stale { now } => {
                let now = now.map_or_else(|| "absent".to_owned(), |digest| digest.to_string());
                (ResultName::Stale, Some(now))
            }
            ChangeResult::Failed(failure) => (ResultName::Failed, Some(failure.message.clone())),
            ChangeResult::NotAttempted(_) => return Ok(()),
        };
        self.write(&Line::Result(ResultLine {
            address: change.address.to_text(open.is_qualified),
            before: change.action.before().map(|digest| digest.to_string()),
            after: change.action.after().map(|digest| digest.to_string()),
            outcome,
            attempts,
            request_id: request_id.map(ToOwned::to_owned),
            detail,
            time: (open.clock)().to_string(),
        }))
    }

    /// Notes that the run came to its end.
    pub fn recap(&self, results: &[ChangeResult], ending: &Ending) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let count = |is: fn(&ChangeResult) -> bool| results.iter().filter(|result| is(result)).count() as u64;
        let ending = match ending {
            Ending::Finished => "finished",
            Ending::Stopped => "stopped",
            Ending::Hopeless(_) => "hopeless",
            Ending::OutOfTime => "out_of_time",
            Ending::Interrupted => "interrupted",
        };
        self.write(&Line::Recap(Recap {
            ending: ending.to_owned(),
            applied: count(ChangeResult::is_success),
            failed: count(|result| matches!(result, ChangeResult::Failed(_))),
            stale: count(|result| matches!(result, ChangeResult::Stale { .. })),
            not_attempted: count(|result| matches!(result, ChangeResult::NotAttempted(_))),
            time: (open.clock)().to_string(),
        }))
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.append(&text)
    }

    fn append(&self, text: &[u8]) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        // One write a line, so that a crash tears at most the last one.
        let _writing = open.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (&*open.file).write_all(text)?;
        if let Some((sender, _)) = &open.syncer {
            // Fails only if the thread is gone, and then the line is still written.
            let _ = sender.send(());
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some((sender, syncer)) = self.syncer.take() {
            drop(sender);
            let _ = syncer.join();
        }
        let _ = self.file.sync_data();
    }
}

/// The JSON Schema of a journal's lines.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Line).to_value()
}
