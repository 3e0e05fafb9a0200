//! The log of the calls that a sandbox answered.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use super::state::Caller;
use crate::model::{AccountId, RepositoryName};

/// How many calls are remembered unless told otherwise.
pub const REMEMBERED_CALLS_MAX: usize = 65_536;

/// One call and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Its place among all calls, from 1.
    pub number: u64,
    /// When it came in.
    pub at: Timestamp,
    /// The operation, such as `PutImage`; empty if the request names none.
    pub operation: String,
    /// Whether it is an operation of STS.
    pub is_sts: bool,
    /// Whose credentials signed it; none if they were missing or not accepted.
    #[serde(serialize_with = "caller_as_text")]
    pub caller: Option<Caller>,
    /// The account whose registry it is about.
    pub registry: Option<AccountId>,
    /// The repository it is about.
    pub repository: Option<RepositoryName>,
    /// The tags that it names, as they were sent.
    pub tags: Vec<String>,
    /// The digests that it names, as they were sent.
    pub digests: Vec<String>,
    /// The HTTP status that was answered; none if the connection was broken.
    pub status: Option<u16>,
    /// The error code, if it is an error that has one.
    pub code: Option<String>,
    /// Whether it changed the state.
    pub took_effect: bool,
    /// Whether it came from a fault's [`Writer`](super::fault::Writer) rather than from a client.
    pub is_other_writer: bool,
}

/// How many calls of one operation there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All calls.
    pub calls: u64,
    /// Those that changed the state.
    pub took_effect: u64,
    /// Those that were answered with an error, by code; bare statuses count as their number, broken connections as
    /// `dropped`.
    pub errors: BTreeMap<String, u64>,
}

/// The last calls, and counts of all.
#[derive(Debug, Clone)]
pub(super) struct CallLog {
    calls: VecDeque<Call>,
    remembered_max: usize,
    tallies: BTreeMap<String, Tally>,
    last_number: u64,
}

impl CallLog {
    pub(super) fn new() -> Self {
        Self {
            calls: VecDeque::new(),
            remembered_max: REMEMBERED_CALLS_MAX,
            tallies: BTreeMap::new(),
            last_number: 0,
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn remember(&mut self, calls_max: usize) {
        self.remembered_max = calls_max;
        self.shorten();
    }

    pub(super) fn add(&mut self, call: Call) {
        let tally = self.tallies.entry(call.operation.clone()).or_default();
        tally.calls += 1;
        tally.took_effect += u64::from(call.took_effect);
        if let Some(error) = call.error() {
            *tally.errors.entry(error).or_default() += 1;
        }
        self.calls.push_back(call);
        self.shorten();
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    pub(super) fn tallies(&self) -> &BTreeMap<String, Tally> {
        &self.tallies
    }

    fn shorten(&mut self) {
        let excess = self.calls.len().saturating_sub(self.remembered_max);
        self.calls.drain(..excess);
    }
}

impl Call {
    fn error(&self) -> Option<String> {
        match (self.status, &self.code) {
            (None, _) => Some("dropped".to_owned()),
            (Some(_), Some(code)) => Some(code.clone()),
            (Some(200..300), None) => None,
            (Some(status), None) => Some(status.to_string()),
        }
    }
}

#[expect(clippy::ref_option, reason = "serde passes the member so")]
fn caller_as_text<S: serde::Serializer>(caller: &Option<Caller>, serializer: S) -> Result<S::Ok, S::Error> {
    match caller {
        Some(caller) => serializer.collect_str(&format_args!("{}/{}", caller.account, caller.region)),
        None => serializer.serialize_none(),
    }
}
