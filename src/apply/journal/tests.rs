use std::sync::Arc;

use proptest::prelude::*;

use super::write::Ended;
use super::*;
use crate::changeset::{Action, Change, Changeset, Reason, RegistryIdentity};
use crate::diagnostic::Sources;
use crate::event::{ChangeResult, Failure};
use crate::model::{Address, Digest, RegistryKey};

const TAGS: [&str; 3] = ["first", "second", "third"];

fn changeset() -> Changeset {
    let change = |tag: &str| Change {
        address: Address {
            registry: RegistryKey::default(),
            repository: "shop/api".parse().unwrap(),
            tag: tag.parse().unwrap(),
        },
        action: Action::Create {
            after: Digest::of(tag.as_bytes()),
        },
        stage: 0,
        wave: 0,
        rules: Vec::new(),
        source: None,
        requires: Vec::new(),
        backup_of: Vec::new(),
        reason: Reason::Rollback,
        is_reversible: true,
    };
    Changeset {
        changes: TAGS.into_iter().map(change).collect(),
        registries: vec![RegistryIdentity {
            key: RegistryKey::default(),
            account: Some("123456789012".parse().unwrap()),
            region: Some("us-east-1".parse().unwrap()),
            access: crate::plan::Access::default(),
        }],
        ..Changeset::default()
    }
}

fn header() -> Header {
    Header {
        format_version: FORMAT_VERSION.to_owned(),
        tool_version: "0.0.0".to_owned(),
        time: Timestamp::UNIX_EPOCH.to_string(),
        question: Question::default(),
        changeset: Document::new(&changeset(), &Sources::default()),
    }
}

/// The journals' clock stands still.
fn clock() -> Clock {
    Arc::new(|| Timestamp::UNIX_EPOCH)
}

/// What a run writes into its journal.
#[derive(Debug, Clone, Copy)]
enum Step {
    Intent,
    Done,
    AlreadyDone,
    Failed,
    InDoubt,
}

fn failure() -> ChangeResult {
    ChangeResult::Failed(Failure {
        message: "it did not work".to_owned(),
        code: None,
        request_id: None,
        help: None,
    })
}

/// The bytes of a journal to which these runs have written; each is carried on with by the next.
fn journal(runs: &[&[(usize, Step)]]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/down/run.jsonl");
    let changeset = changeset();
    for (number, steps) in runs.iter().enumerate() {
        let journal = if number == 0 {
            Journal::create(&path, header(), clock()).unwrap()
        } else {
            let (journal, _) = Journal::reopen(&path, clock()).unwrap();
            journal.resume().unwrap();
            journal
        };
        for (index, step) in *steps {
            let change = &changeset.changes[*index];
            let (result, is_in_doubt) = match step {
                Step::Intent => {
                    journal.intent(change).unwrap();
                    continue;
                }
                Step::Done => (ChangeResult::Done, false),
                Step::AlreadyDone => (ChangeResult::AlreadyDone, false),
                Step::Failed => (failure(), false),
                Step::InDoubt => (failure(), true),
            };
            let ended = Ended {
                result: &result,
                attempts: 1,
                request_id: None,
                is_in_doubt,
            };
            journal.result(change, &ended).unwrap();
        }
    }
    std::fs::read(path).unwrap()
}

fn fates(runs: &[&[(usize, Step)]]) -> Vec<Fate> {
    Record::parse(&journal(runs)).unwrap().fates
}

#[test]
fn an_intent_without_a_result_is_open() {
    let run = [(0, Step::Intent), (1, Step::Intent), (1, Step::Done)];
    assert_eq!(fates(&[&run]), [Fate::Open, Fate::Done, Fate::Untouched]);
}

#[test]
fn a_result_closes_what_its_own_run_began() {
    let run = [
        (0, Step::Intent),
        (0, Step::Failed),
        (1, Step::Intent),
        (1, Step::InDoubt),
    ];
    assert_eq!(fates(&[&run]), [Fate::Untouched, Fate::Open, Fate::Untouched]);
}

#[test]
fn what_an_earlier_run_left_open_stays_open_until_it_is_known() {
    let killed = [(0, Step::Intent), (1, Step::Intent), (2, Step::Intent)];
    let next = [
        (0, Step::Intent),
        (0, Step::Failed),
        (1, Step::AlreadyDone),
        (2, Step::Done),
    ];
    assert_eq!(fates(&[&killed, &next]), [Fate::Open, Fate::Open, Fate::Done]);
}

#[test]
fn a_torn_line_is_no_error_at_the_end_or_before_a_run_that_carries_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let whole = journal(&[&[(0, Step::Intent), (0, Step::Done)]]);
    let torn = &whole[..whole.len() - 9];
    assert_eq!(Record::parse(torn).unwrap().fates[0], Fate::Open);
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), torn).unwrap();
    let (journal, _) = Journal::reopen(&path, clock()).unwrap();
    journal.resume().unwrap();
    drop(journal);
    let mended = std::fs::read(&path).unwrap();
    assert_eq!(Record::parse(&mended).unwrap().fates[0], Fate::Open);
    let mut lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    lines.insert(1, b"{\"type\":\"int\n");
    let error = Record::parse(&lines.concat()).unwrap_err();
    assert!(matches!(error, InvalidJournal::Line { number: 2, .. }), "{error}");
}

#[test]
fn a_living_run_keeps_its_journal_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let living = Journal::create(&path, header(), clock()).unwrap();
    let error = Journal::create(&path, header(), clock()).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    let Err(ReopenError::File(error)) = Journal::reopen(&path, clock()) else {
        panic!("two runs write one journal");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    drop(living);
    assert!(Journal::reopen(&path, clock()).is_ok());
}

#[test]
fn later_minor_versions_are_read_and_major_ones_refused() {
    let text = String::from_utf8(journal(&[&[(0, Step::Done)]])).unwrap();
    let minor = text.replacen("\"1.0\"", "\"1.7\"", 1) + "{\"type\":\"weather\",\"sun\":true}\n";
    assert_eq!(Record::parse(minor.as_bytes()).unwrap().fates[0], Fate::Done);
    let major = text.replacen("\"1.0\"", "\"2.0\"", 1);
    let error = Record::parse(major.as_bytes()).unwrap_err();
    assert!(matches!(error, InvalidJournal::UnknownVersion(_)), "{error}");
    for no_journal in ["", "\n", "{}\n", "[]\n", "{\"type\":\"intent\"}\n"] {
        assert!(matches!(
            Record::parse(no_journal.as_bytes()),
            Err(InvalidJournal::NoHeader(_))
        ));
    }
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let steps = vec![
        Step::Intent,
        Step::Done,
        Step::AlreadyDone,
        Step::Failed,
        Step::InDoubt,
    ];
    (0..TAGS.len(), proptest::sample::select(steps))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A run may be killed after any byte: what is on disk by then is read, and what was done stays done.
    #[test]
    fn every_beginning_of_a_journal_can_be_read(steps in proptest::collection::vec(step(), 0..8)) {
        let bytes = journal(&[&steps]);
        let header_end = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let mut before = vec![Fate::Untouched; TAGS.len()];
        for end in header_end..=bytes.len() {
            let record = Record::parse(&bytes[..end]).unwrap();
            prop_assert!(record.is_unfinished());
            for (before, now) in before.iter().zip(&record.fates) {
                prop_assert!(*before != Fate::Done || *now == Fate::Done);
            }
            before = record.fates;
        }
        for end in 0..header_end - 1 {
            prop_assert!(Record::parse(&bytes[..end]).is_err());
        }
    }
}
