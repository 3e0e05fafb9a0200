//! Writes a journal: each line before or right after what it tells of.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{
    Clock, Header, Intent, InvalidJournal, Line, Recap, Record, ResultLine, ResultName, Resumed, RolledBack,
};
use crate::changeset::Change;
use crate::event::{ChangeResult, Ending};

/// How long a line may wait for others that are synced with it: less than ECR takes to answer a call.
const SYNC_AFTER: Duration = Duration::from_millis(20);

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
    /// Whether lines were written that no sync covers; the thread was told with the first of them.
    is_behind: Arc<AtomicBool>,
    syncer: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How a change ended, for its journal.
pub(in crate::apply) struct Ended<'a> {
    pub(in crate::apply) result: &'a ChangeResult,
    pub(in crate::apply) attempts: u32,
    pub(in crate::apply) request_id: Option<&'a str>,
    /// Whether a call may have taken effect although no answer says so.
    pub(in crate::apply) is_in_doubt: bool,
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
        file.try_lock()?;
        let is_qualified = header.changeset.registries.len() > 1;
        let journal = Self::start(path, file, clock, is_qualified)?;
        journal.write(&Line::Header(Box::new(header)))?;
        Ok(journal)
    }

    /// Goes on writing a journal that another run has begun; fails with `WouldBlock` if that run still lives.
    ///
    /// What the file holds is read once it is locked, so that nothing can be added to it in between.
    pub fn reopen(path: &Path, clock: Clock) -> Result<(Self, Record), ReopenError> {
        let mut file = File::options().append(true).read(true).open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let record = Record::parse(&bytes)?;
        let is_qualified = record.changeset.is_qualified();
        let journal = Self::start(path, file, clock, is_qualified)?;
        if !bytes.ends_with(b"\n") {
            // A line that was torn when the last run was killed must not swallow the next one.
            journal.append(b"\n")?;
        }
        Ok((journal, record))
    }

    /// Notes that another run carries on from here.
    pub fn resume(&self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        self.write(&Line::Resumed(Resumed {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            time: (open.clock)().to_string(),
        }))
    }

    /// Notes that what was done is about to be taken back, so that nobody carries on with it.
    pub fn roll_back(&self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        self.write(&Line::RolledBack(RolledBack {
            time: (open.clock)().to_string(),
        }))
    }

    /// Writes to this file, which is locked.
    fn start(path: &Path, file: File, clock: Clock, is_qualified: bool) -> io::Result<Self> {
        let file = Arc::new(file);
        let (sender, receiver) = channel::<()>();
        let is_behind = Arc::new(AtomicBool::new(false));
        let (writes, was_behind) = (Arc::clone(&file), Arc::clone(&is_behind));
        // One sync covers all lines of a moment: one for each would keep the disk and a core busy.
        let syncer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                while receiver.recv().is_ok() {
                    // Ends early only with the run.
                    let _ = receiver.recv_timeout(SYNC_AFTER);
                    was_behind.store(false, Ordering::SeqCst);
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
            is_behind,
            syncer: Some((sender, syncer)),
        };
        Ok(Self { open: Some(open) })
    }

    /// Where the journal is.
    pub fn path(&self) -> Option<&Path> {
        self.open.as_ref().map(|open| open.path.as_path())
    }

    /// Notes that a call is about to be sent.
    pub(in crate::apply) fn intent(&self, change: &Change) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        self.write(&Line::Intent(Intent {
            address: change.address.to_text(open.is_qualified),
            before: change.action.before().map(|digest| digest.to_string()),
            after: change.action.after().map(|digest| digest.to_string()),
            time: (open.clock)().to_string(),
        }))
    }

    /// Notes how a change ended; one that was not tried is not noted.
    pub(in crate::apply) fn result(&self, change: &Change, ended: &Ended<'_>) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let (outcome, detail) = match ended.result {
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
            in_doubt: ended.is_in_doubt,
            attempts: ended.attempts,
            request_id: ended.request_id.map(ToOwned::to_owned),
            detail,
            time: (open.clock)().to_string(),
        }))
    }

    /// Notes that the run came to its end.
    pub fn recap(&self, results: &[ChangeResult], ending: &Ending) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let count = |is: fn(&ChangeResult) -> bool| results.iter().filter(|result| is(result)).count() as u64;
        self.write(&Line::Recap(Recap {
            ending: ending.into(),
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
        if let Some((sender, _)) = &open.syncer
            && !open.is_behind.swap(true, Ordering::SeqCst)
        {
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

/// A journal cannot be carried on with.
#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    /// The file cannot be read or locked; `WouldBlock` if its run still lives.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It is no journal, or not one that this program reads.
    #[error(transparent)]
    Invalid(#[from] InvalidJournal),
}
