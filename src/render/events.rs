//! The lines of `apply --json`: one JSON object for each thing that happens.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::grouping::Kind;
use super::outcome::{OutcomeCounts, cause};
use super::progress::ProgressStatus;
use super::summary::plan_line;
use super::text::{escape, escape_json};
use crate::changeset::file::{ActionName, DiagnosticRecord};
use crate::changeset::{Action, Changeset, Counts};
use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::event::{ChangeResult, Ending, Event, Failure, NotAttempted, Outcome};
use crate::model::Address;

mod record;

use record::{
    CallRecord, EndingName, EventType, HookRecord, LevelName, OutcomeName, PlannedRecord, ProgressRecord,
    RecapRecord, ResourceRecord, TotalsRecord, VersionRecord,
};
pub use record::{EVENT_FORMAT_VERSION, EventLine, event_schema};

/// Makes the lines for one changeset.
#[derive(Debug, Clone)]
pub struct EventLines {
    is_qualified: bool,
    actions: BTreeMap<Address, Action>,
}

impl EventLine {
    fn new(now: Timestamp, level: LevelName, kind: EventType, message: &str) -> Self {
        Self {
            timestamp: format!("{now:.3}"),
            level,
            message: escape(message).into_owned(),
            kind,
            version: None,
            change: None,
            changes: None,
            hook: None,
            progress: None,
            diagnostic: None,
            recap: None,
        }
    }

    /// The first line: what writes the others.
    pub fn version(now: Timestamp) -> Self {
        let tool = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            version: Some(VersionRecord {
                tool: tool.clone(),
                format: EVENT_FORMAT_VERSION.to_owned(),
            }),
            ..Self::new(
                now,
                LevelName::Info,
                EventType::Version,
                &format!("ecr-retag {tool}"),
            )
        }
    }

    /// A warning or an error about the plan file.
    pub fn diagnostic(diagnostic: &Diagnostic, sources: &Sources, now: Timestamp) -> Self {
        let (level, word) = match diagnostic.severity {
            Severity::Error | Severity::Refusal => (LevelName::Error, "Error"),
            Severity::Warning => (LevelName::Warn, "Warning"),
        };
        let message = format!("{word}: {}", diagnostic.message);
        Self {
            diagnostic: Some(DiagnosticRecord::new(diagnostic, sources)),
            ..Self::new(now, level, EventType::Diagnostic, &message)
        }
    }

    /// An error about the world, such as a registry that denies.
    pub fn error(message: &str, help: Option<&str>, now: Timestamp) -> Self {
        let record = DiagnosticRecord {
            severity: Severity::Error.as_str().to_owned(),
            code: "error".to_owned(),
            summary: message.to_owned(),
            detail: help.map(str::to_owned),
            range: None,
        };
        Self {
            diagnostic: Some(record),
            ..Self::new(
                now,
                LevelName::Error,
                EventType::Diagnostic,
                &format!("Error: {message}"),
            )
        }
    }

    /// How far the run is.
    pub fn progress(status: &ProgressStatus, now: Timestamp) -> Self {
        let tenths = |number: f64| (number * 10.0).round() / 10.0;
        let record = ProgressRecord {
            done: status.done,
            total: status.total,
            failed: status.failed,
            retries: status.retries,
            throttled: status.throttled,
            puts_per_second: tenths(status.puts_per_second),
            remaining_s: status.remaining_s.map(tenths),
        };
        Self {
            progress: Some(record),
            ..Self::new(
                now,
                LevelName::Info,
                EventType::ApplyProgress,
                &status.to_string(),
            )
        }
    }

    /// What happened, as a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON of the line, with its end; nothing in it can move a terminal's cursor.
    pub fn to_json(&self) -> String {
        // All members are text, numbers and names.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{}\n", escape_json(&json))
    }
}

impl EventLines {
    /// Remembers what the changes are, since events only name addresses.
    pub fn new(changeset: &Changeset) -> Self {
        Self {
            is_qualified: changeset.is_qualified(),
            actions: changeset
                .changes
                .iter()
                .map(|change| (change.address.clone(), change.action))
                .collect(),
        }
    }

    /// A line for each change that will be made, and one with their number.
    pub fn planned(&self, changeset: &Changeset, now: Timestamp) -> Vec<EventLine> {
        let mut lines: Vec<EventLine> = Vec::with_capacity(changeset.changes.len() + 1);
        for change in &changeset.changes {
            let resource = self.resource(&change.address);
            let message = format!("{} {}", resource.addr, Kind::of(change.action).will_be());
            let record = PlannedRecord {
                resource,
                action: action_name(change.action),
                before: change.action.before().map(|digest| digest.to_string()),
                after: change.action.after().map(|digest| digest.to_string()),
                reason: change.reason.to_string(),
                stage: change.stage,
            };
            lines.push(EventLine {
                change: Some(record),
                ..EventLine::new(now, LevelName::Info, EventType::PlannedChange, &message)
            });
        }
        lines.push(EventLine {
            changes: Some(totals(Counts::of(&changeset.changes))),
            ..EventLine::new(
                now,
                LevelName::Info,
                EventType::ChangeSummary,
                &plan_line(changeset),
            )
        });
        lines
    }

    /// The line for an event, if there is one: those of reading, retries and pace are told by the progress.
    pub fn line(&self, event: &Event, now: Timestamp) -> Option<EventLine> {
        match event {
            Event::ChangeStarted { address } => Some(self.started(address, now)),
            Event::ChangeFinished {
                address,
                result,
                attempts,
            } => Some(self.finished(address, result, *attempts, now)),
            Event::RepositoriesFound { .. }
            | Event::RepositoryRead { .. }
            | Event::ApplyStarted { .. }
            | Event::Retrying { .. }
            | Event::PaceChanged { .. }
            | Event::Stopping { .. } => None,
        }
    }

    /// The last line: how the run went.
    pub fn recap(changeset: &Changeset, outcome: &Outcome, now: Timestamp) -> EventLine {
        let counts = OutcomeCounts::of(changeset, outcome);
        let level = if counts.is_complete() {
            LevelName::Info
        } else {
            LevelName::Error
        };
        let record = RecapRecord {
            name: changeset.name.clone(),
            applied: totals(counts.done),
            already_done: counts.already_done,
            failed: counts.failed,
            stale: counts.stale,
            not_attempted: counts.not_attempted,
            ending: match outcome.ending {
                Ending::Finished => EndingName::Finished,
                Ending::Stopped => EndingName::Stopped,
                Ending::Hopeless { .. } => EndingName::Hopeless,
                Ending::OutOfTime => EndingName::OutOfTime,
                Ending::Interrupted => EndingName::Interrupted,
            },
            elapsed_s: milliseconds(outcome.elapsed),
            calls: outcome
                .calls
                .iter()
                .map(|count| CallRecord {
                    operation: count.operation.to_owned(),
                    calls: count.calls,
                    throttled: count.throttled,
                    retried: count.retried,
                })
                .collect(),
        };
        EventLine {
            recap: Some(record),
            ..EventLine::new(now, level, EventType::Recap, &counts.line())
        }
    }

    fn started(&self, address: &Address, now: Timestamp) -> EventLine {
        let hook = self.hook(address);
        let message = format!("{}: {} started", hook.resource.addr, word(hook.action));
        EventLine {
            hook: Some(hook),
            ..EventLine::new(now, LevelName::Info, EventType::ApplyStart, &message)
        }
    }

    fn finished(&self, address: &Address, result: &ChangeResult, attempts: u32, now: Timestamp) -> EventLine {
        let mut hook = HookRecord {
            attempts: Some(attempts),
            ..self.hook(address)
        };
        let (outcome, what) = match result {
            ChangeResult::Done => (OutcomeName::Done, "done".to_owned()),
            ChangeResult::AlreadyDone => (OutcomeName::AlreadyDone, "was done already".to_owned()),
            ChangeResult::Stale { now } => {
                hook.now = now.map(|digest| digest.to_string());
                (
                    OutcomeName::Stale,
                    "is stale: somebody else moved the tag".to_owned(),
                )
            }
            ChangeResult::Failed(failure) => {
                let Failure { code, request_id, .. } = failure.clone();
                (hook.code, hook.request_id) = (code, request_id);
                (OutcomeName::Failed, format!("failed: {}", cause(failure)))
            }
            ChangeResult::NotAttempted(why) => {
                let why = match why {
                    NotAttempted::Stopped => "the run had ended",
                    NotAttempted::EarlierFailed => "a change of an earlier stage did not succeed",
                    NotAttempted::RequirementUnmet(_) => "a tag that it needs is not on its image",
                };
                (OutcomeName::NotAttempted, format!("was not attempted: {why}"))
            }
        };
        hook.outcome = Some(outcome);
        let message = format!("{}: {} {what}", hook.resource.addr, word(hook.action));
        let (level, kind) = match outcome {
            OutcomeName::Done | OutcomeName::AlreadyDone => (LevelName::Info, EventType::ApplyComplete),
            OutcomeName::NotAttempted => (LevelName::Warn, EventType::ApplyErrored),
            OutcomeName::Stale | OutcomeName::Failed => (LevelName::Error, EventType::ApplyErrored),
        };
        EventLine {
            hook: Some(hook),
            ..EventLine::new(now, level, kind, &message)
        }
    }

    fn hook(&self, address: &Address) -> HookRecord {
        let action = self.actions.get(address).copied();
        HookRecord {
            resource: self.resource(address),
            action: action.map_or(ActionName::NoOp, action_name),
            outcome: None,
            attempts: None,
            now: None,
            code: None,
            request_id: None,
        }
    }

    fn resource(&self, address: &Address) -> ResourceRecord {
        ResourceRecord {
            addr: address.to_text(self.is_qualified),
            registry: address.registry.to_string(),
            repository: address.repository.to_string(),
            tag: address.tag.to_string(),
        }
    }
}

fn action_name(action: Action) -> ActionName {
    match action {
        Action::Create { .. } => ActionName::Create,
        Action::Move { .. } => ActionName::Update,
        Action::Remove { .. } => ActionName::Delete,
    }
}

fn word(action: ActionName) -> &'static str {
    match action {
        ActionName::Create => "create",
        ActionName::Update => "move",
        ActionName::Delete => "remove",
        ActionName::NoOp => "change",
    }
}

fn totals(counts: Counts) -> TotalsRecord {
    TotalsRecord {
        add: counts.creates,
        change: counts.moves,
        remove: counts.removes,
    }
}

fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::fixture::{self, HOSTILE};
    use super::super::text::is_unsafe;
    use super::*;
    use crate::diagnostic::Code;
    use crate::event::CallCount;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00.25Z".parse().unwrap()
    }

    /// One line of every type, in the order of a run.
    fn run() -> Vec<EventLine> {
        let changeset = fixture::cutover();
        let lines = EventLines::new(&changeset);
        let at = fixture::address;
        let failure = Failure {
            message: "not allowed".to_owned(),
            code: Some("AccessDeniedException".to_owned()),
            request_id: Some("0a1b".to_owned()),
            help: None,
        };
        let finished = |address: &str, result| Event::ChangeFinished {
            address: at(address),
            result,
            attempts: 2,
        };
        let (sources, diagnostics) = fixture::mistakes();
        let mut run = vec![EventLine::version(now())];
        run.extend(
            diagnostics
                .iter()
                .map(|diagnostic| EventLine::diagnostic(diagnostic, &sources, now())),
        );
        run.extend(lines.planned(&changeset, now()));
        let events = [
            Event::ApplyStarted { changes: 3 },
            Event::ChangeStarted {
                address: at("shop/api:1.8.0"),
            },
            finished("shop/api:1.8.0", ChangeResult::Done),
            finished(
                "shop/api:stable",
                ChangeResult::Stale {
                    now: Some(fixture::digest("other")),
                },
            ),
            finished("shop/api:stable", ChangeResult::Failed(failure.clone())),
            finished(
                "shop/api:1.8.0-rc.3",
                ChangeResult::NotAttempted(NotAttempted::EarlierFailed),
            ),
        ];
        run.extend(events.iter().filter_map(|event| lines.line(event, now())));
        run.push(EventLine::progress(
            &ProgressStatus {
                done: 1,
                total: 3,
                ..ProgressStatus::default()
            },
            now(),
        ));
        run.push(EventLine::error(
            "no credentials",
            Some("run `aws sso login`"),
            now(),
        ));
        let outcome = Outcome {
            results: vec![
                ChangeResult::Done,
                ChangeResult::NotAttempted(NotAttempted::EarlierFailed),
                ChangeResult::Failed(failure),
            ],
            ending: Ending::Stopped,
            elapsed: Duration::from_micros(1_234_567),
            calls: vec![CallCount {
                operation: "PutImage",
                calls: 3,
                throttled: 1,
                retried: 1,
            }],
        };
        run.push(EventLines::recap(&changeset, &outcome, now()));
        run
    }

    #[test]
    fn a_run_is_told_in_lines() {
        let text: String = run().iter().map(EventLine::to_json).collect();
        assert_snapshot!(text);
    }

    #[test]
    fn every_line_follows_the_schema() {
        let schema = jsonschema::validator_for(&event_schema()).unwrap();
        let mut kinds = std::collections::BTreeSet::new();
        for line in run() {
            let value: serde_json::Value = serde_json::from_str(&line.to_json()).unwrap();
            let errors: Vec<String> = schema
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect();
            assert!(errors.is_empty(), "{value}: {errors:?}");
            kinds.insert(value["type"].as_str().unwrap().to_owned());
        }
        assert_eq!(kinds.len(), 9, "{kinds:?}");
    }

    #[test]
    fn a_line_is_one_line_and_moves_no_cursor() {
        let (sources, _) = fixture::mistakes();
        let diagnostic = Diagnostic::error(Code::InvalidTag, HOSTILE).help(HOSTILE);
        let line = EventLine::diagnostic(&diagnostic, &sources, now()).to_json();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains(|c: char| is_unsafe(c) && c != '\n'), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["diagnostic"]["summary"], HOSTILE);
    }
}
