//! Reads a journal back: what its runs set out to do, and how far they came.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{EndingName, Header, Line, ResultName};
use crate::changeset::Changeset;
use crate::changeset::file::InvalidChangeset;

/// What a journal tells.
#[derive(Debug, Clone)]
pub struct Record {
    /// What its first run set out to do.
    pub header: Header,
    /// The changeset of the header.
    pub changeset: Changeset,
    /// What became of each change of the changeset, in its order.
    pub fates: Vec<Fate>,
    /// How the last run ended that came to an end.
    pub ending: Option<EndingName>,
    /// Whether a rollback has begun to take it back.
    pub is_rolled_back: bool,
}

/// What became of a change, as far as its journal knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Fate {
    /// No call of these runs changed the tag.
    #[default]
    Untouched,
    /// A call was sent, and no run lived to learn what came of it.
    Open,
    /// These runs made the change.
    Done,
}

/// A file is no journal, or not one that this program reads.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJournal {
    /// It does not begin with a header.
    #[error("it is no journal: {0}")]
    NoHeader(String),
    /// It is of a major version that this program does not know.
    #[error("the journal is of format version {0}, this program reads 1.x")]
    UnknownVersion(String),
    /// A line in its middle makes no sense.
    #[error("line {number} of the journal makes no sense: {reason}")]
    Line {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The changeset of its header cannot be used.
    #[error("the journal's changeset: {0}")]
    Changeset(#[from] InvalidChangeset),
}

impl Record {
    /// Reads a journal.
    ///
    /// A line that a crash has torn is no error: the last one of the file, or the last one before a run that carried
    /// on. Line types that a later minor version adds are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidJournal> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text
            .split_inclusive('\n')
            .enumerate()
            .map(|(index, line)| (index + 1, line));
        let (_, first) = lines
            .next()
            .ok_or_else(|| InvalidJournal::NoHeader("it is empty".to_owned()))?;
        let header = read_header(first)?;
        let changeset = header.changeset.to_changeset()?;
        let mut story = Story::new(&changeset);
        let mut torn = None;
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let read = read_line(line);
            // Only the run that carries on can follow a torn line.
            if let (Some(torn), Ok(next)) = (torn.take(), &read)
                && !matches!(next, Some(Line::Resumed(_) | Line::RolledBack(_)))
            {
                return Err(torn);
            }
            match read {
                Ok(Some(line)) => story.add(line),
                Ok(None) => {}
                Err(reason) => torn = Some(InvalidJournal::Line { number, reason }),
            }
        }
        let Story {
            fates,
            ending,
            is_rolled_back,
            ..
        } = story;
        Ok(Self {
            header,
            changeset,
            fates,
            ending,
            is_rolled_back,
        })
    }

    /// Whether its runs left something to carry on with: the last was killed, interrupted, or ran out of time.
    pub fn is_unfinished(&self) -> bool {
        !self.is_rolled_back && self.ending.is_none_or(EndingName::may_be_carried_on)
    }
}

/// The journals in a directory that are wanted, the latest first.
///
/// A directory that is not there holds none; a file that is no journal is passed over.
pub fn find_journals(directory: &Path, is_wanted: impl Fn(&Record) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    paths.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::new();
    for path in paths {
        if Record::parse(&std::fs::read(&path)?).is_ok_and(|record| is_wanted(&record)) {
            found.push(path);
        }
    }
    Ok(found)
}

fn read_header(line: &str) -> Result<Header, InvalidJournal> {
    #[derive(serde::Deserialize)]
    struct Version {
        format_version: String,
    }
    let no_header = |error: serde_json::Error| InvalidJournal::NoHeader(error.to_string());
    let Version { format_version } = serde_json::from_str(line).map_err(no_header)?;
    if format_version.split('.').next() != Some("1") {
        return Err(InvalidJournal::UnknownVersion(
            format_version.escape_debug().to_string(),
        ));
    }
    match serde_json::from_str(line).map_err(no_header)? {
        Line::Header(header) => Ok(*header),
        _ => Err(InvalidJournal::NoHeader("its first line is no header".to_owned())),
    }
}

/// A line, or nothing if it is of a type that a later version has added.
fn read_line(line: &str) -> Result<Option<Line>, String> {
    #[derive(serde::Deserialize)]
    struct Type {
        r#type: String,
    }
    const TYPES: [&str; 6] = ["header", "intent", "result", "recap", "resumed", "rolled_back"];
    if !line.ends_with('\n') {
        return Err("it is not complete".to_owned());
    }
    let Type { r#type } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if !TYPES.contains(&r#type.as_str()) {
        return Ok(None);
    }
    serde_json::from_str(line)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// What the lines come to, one after the other.
struct Story {
    index_of: BTreeMap<String, usize>,
    fates: Vec<Fate>,
    /// Intents of the run that the lines tell of, until their results come.
    awaited: BTreeMap<usize, Fate>,
    ending: Option<EndingName>,
    is_rolled_back: bool,
}

impl Story {
    fn new(changeset: &Changeset) -> Self {
        let is_qualified = changeset.is_qualified();
        let addresses = changeset.changes.iter().enumerate();
        Self {
            index_of: addresses
                .map(|(index, change)| (change.address.to_text(is_qualified), index))
                .collect(),
            fates: vec![Fate::Untouched; changeset.changes.len()],
            awaited: BTreeMap::new(),
            ending: None,
            is_rolled_back: false,
        }
    }

    fn add(&mut self, line: Line) {
        match line {
            // A second header cannot be: a journal is created anew.
            Line::Header(_) => {}
            Line::Intent(intent) => {
                if let Some(&index) = self.index_of.get(&intent.address) {
                    let before = self.fate(index);
                    self.awaited.entry(index).or_insert(before);
                    self.set(index, before.max(Fate::Open));
                }
            }
            Line::Result(result) => {
                if let Some(&index) = self.index_of.get(&result.address) {
                    let fate = match (result.outcome, self.awaited.remove(&index)) {
                        (ResultName::Done, _) => Fate::Done,
                        (_, _) if result.in_doubt => self.fate(index),
                        // The run knew what became of its own calls; those of an earlier run stay open.
                        (_, Some(before)) => before,
                        (_, None) => self.fate(index),
                    };
                    self.set(index, fate);
                }
            }
            Line::Recap(recap) => self.ending = Some(recap.ending),
            Line::Resumed(_) => {
                self.awaited.clear();
                self.ending = None;
            }
            Line::RolledBack(_) => self.is_rolled_back = true,
        }
    }

    fn fate(&self, index: usize) -> Fate {
        self.fates.get(index).copied().unwrap_or_default()
    }

    fn set(&mut self, index: usize, fate: Fate) {
        if let Some(slot) = self.fates.get_mut(index) {
            *slot = fate;
        }
    }
}
