//! What an apply has done, and what it has not done and why.

use std::collections::BTreeMap;

use super::message::push_help;
use super::summary::place;
use super::text::{self, Look, counted, escape, push};
use crate::changeset::{Action, Change, Changeset, Counts};
use crate::event::{CallCount, ChangeResult, Ending, Failure, NotAttempted, Outcome};
use crate::model::Digest;
use crate::model::RegistryKey;

/// The addresses that are listed under one cause; the journal has all.
const ADDRESSES_MAX: usize = 20;
/// The causes that are listed.
const CAUSES_MAX: usize = 20;

/// How to show an outcome.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeView<'a> {
    /// How the text may look.
    pub look: Look,
    /// Whether to list every address.
    pub is_full: bool,
    /// The command that carries on, if there is anything left to do.
    pub carry_on: Option<&'a str>,
}

/// How many changes ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeCounts {
    /// What this run has done.
    pub done: Counts,
    /// Tags that were right before anything was written.
    pub already_done: u64,
    /// Tags that could not be written.
    pub failed: u64,
    /// Tags that somebody else moved.
    pub stale: u64,
    /// Tags that were not tried.
    pub not_attempted: u64,
}

impl OutcomeCounts {
    /// Counts how the changes ended; `results` are in their order.
    pub fn of(changeset: &Changeset, outcome: &Outcome) -> Self {
        Self::count(results(changeset, outcome))
    }

    fn count<'a>(results: impl Iterator<Item = (&'a Change, &'a ChangeResult)>) -> Self {
        let mut counts = Self::default();
        for (change, result) in results {
            match result {
                ChangeResult::Done => match change.action {
                    Action::Create { .. } => counts.done.creates += 1,
                    Action::Move { .. } => counts.done.moves += 1,
                    Action::Remove { .. } => counts.done.removes += 1,
                },
                ChangeResult::AlreadyDone => counts.already_done += 1,
                ChangeResult::Stale { .. } => counts.stale += 1,
                ChangeResult::Failed(_) => counts.failed += 1,
                ChangeResult::NotAttempted(_) => counts.not_attempted += 1,
            }
        }
        counts
    }

    /// Whether every tag is where the changeset wants it.
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.stale == 0 && self.not_attempted == 0
    }

    /// The line that other programs look for.
    pub fn line(&self) -> String {
        let word = if self.is_complete() {
            "complete"
        } else {
            "incomplete"
        };
        format!("Apply {word}! Tags: {}.", self.words())
    }

    fn words(&self) -> String {
        let Self {
            done,
            failed,
            stale,
            not_attempted,
            ..
        } = self;
        if self.is_complete() {
            let Counts {
                creates,
                moves,
                removes,
            } = done;
            format!("{creates} added, {moves} changed, {removes} destroyed")
        } else {
            let applied = done.total();
            format!("{applied} applied, {failed} failed, {stale} stale, {not_attempted} not attempted")
        }
    }
}

/// Writes what an apply has done: its totals, everything that was not done with its cause, and how to carry on.
pub fn outcome_text(changeset: &Changeset, outcome: &Outcome, view: &OutcomeView<'_>) -> String {
    let counts = OutcomeCounts::of(changeset, outcome);
    let look = view.look;
    let mut out = String::new();
    let style = if counts.is_complete() {
        text::DONE
    } else {
        text::ERROR
    };
    push(&mut out, format_args!("{}\n", look.paint(style, counts.line())));
    push_registries(&mut out, changeset, outcome);
    if counts.already_done > 0 {
        let tags = counted(counts.already_done, "tag was", "tags were");
        push(&mut out, format_args!("{tags} right already.\n"));
    }
    push(&mut out, format_args!("{}\n", calls_line(outcome)));
    if let Some(name) = &changeset.name {
        push(&mut out, format_args!("Plan name: {}\n", escape(name)));
    }
    push_ending(&mut out, &outcome.ending, counts.is_complete(), look);
    push_causes(&mut out, changeset, outcome, view);
    if let Some(command) = view.carry_on.filter(|_| !counts.is_complete()) {
        push(&mut out, format_args!("\nTo carry on:\n  {}\n", escape(command)));
    }
    out
}

/// A line for each registry, where there are several.
fn push_registries(out: &mut String, changeset: &Changeset, outcome: &Outcome) {
    if !changeset.is_qualified() {
        return;
    }
    for registry in changeset.registries_to_change() {
        let here = results(changeset, outcome).filter(|(change, _)| change.address.registry == registry.key);
        let words = OutcomeCounts::count(here).words();
        push(
            out,
            format_args!("  {} in {}: {words}\n", registry.key, place(registry)),
        );
    }
}

fn results<'a>(
    changeset: &'a Changeset,
    outcome: &'a Outcome,
) -> impl Iterator<Item = (&'a Change, &'a ChangeResult)> {
    changeset.changes.iter().zip(&outcome.results)
}

/// `47 calls (12 BatchGetImage, 35 PutImage), 3 throttled, 4 retried, in 4.2s.`
fn calls_line(outcome: &Outcome) -> String {
    let total: u64 = outcome.calls.iter().map(|count| count.calls).sum();
    let throttled: u64 = outcome.calls.iter().map(|count| count.throttled).sum();
    let mut line = counted(total, "call", "calls");
    let parts: Vec<String> = outcome
        .calls
        .iter()
        .map(|CallCount { operation, calls, .. }| format!("{calls} {operation}"))
        .collect();
    if !parts.is_empty() {
        push(&mut line, format_args!(" ({})", parts.join(", ")));
    }
    push(&mut line, format_args!(", {throttled} throttled"));
    let retried: u64 = outcome.calls.iter().map(|count| count.retried).sum();
    if retried > 0 {
        push(&mut line, format_args!(", {retried} retried"));
    }
    push(&mut line, format_args!(", in {}.", text::span(outcome.elapsed)));
    line
}

/// Why the run ended before its time. Where that left something undone it is an error of its own.
fn push_ending(out: &mut String, ending: &Ending, is_complete: bool, look: Look) {
    let (why, help) = match ending {
        Ending::Finished => return,
        Ending::Stopped => {
            out.push_str("Stopped at the first change that did not succeed (`--on-error stop`).\n");
            return;
        }
        Ending::OutOfTime => ("the time of `--max-duration` is over".to_owned(), None),
        Ending::Interrupted => ("interrupted; the calls in flight were awaited".to_owned(), None),
        Ending::Hopeless { registries, failure } => (
            format!(
                "every call{} fails alike: {}",
                to_registries(registries),
                cause(failure)
            ),
            failure.help.as_deref(),
        ),
    };
    if is_complete {
        return;
    }
    let title = format!("Error: {why}");
    push(
        out,
        format_args!("\n{}\n", look.paint(text::ERROR, escape(&title))),
    );
    push_help(out, help);
}

/// Says which registries are meant; nothing for all of them.
fn to_registries(registries: &[RegistryKey]) -> String {
    let names: Vec<String> = registries.iter().map(|key| format!("`{key}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => format!(" to {only}"),
        Some((last, others)) => format!(" to {} and {last}", others.join(", ")),
    }
}

/// What a reader is told together: changes that did not succeed for one cause.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Failed { what: String, help: Option<String> },
    Stale,
    Unmet,
    NotAttempted(&'static str),
}

fn push_causes(out: &mut String, changeset: &Changeset, outcome: &Outcome, view: &OutcomeView<'_>) {
    let is_qualified = changeset.is_qualified();
    let mut causes: BTreeMap<Cause, Vec<(String, String)>> = BTreeMap::new();
    for (change, result) in results(changeset, outcome) {
        let Some((cause, detail)) = explain(change, result) else {
            continue;
        };
        causes
            .entry(cause)
            .or_default()
            .push((change.address.to_text(is_qualified), detail));
    }
    let cause_count = causes.len();
    let causes_max = if view.is_full { usize::MAX } else { CAUSES_MAX };
    for (cause, rows) in causes.into_iter().take(causes_max) {
        push_cause(out, &cause, &rows, view);
    }
    if cause_count > causes_max {
        push(
            out,
            format_args!(
                "\n… and {} more causes; the journal has all of them\n",
                cause_count - causes_max
            ),
        );
    }
}

fn push_cause(out: &mut String, cause: &Cause, rows: &[(String, String)], view: &OutcomeView<'_>) {
    let tags = counted(text::len(rows), "tag", "tags");
    let (title, help) = match cause {
        Cause::Failed { what, help } => (format!("Error: {tags} failed: {what}"), help.as_deref()),
        Cause::Stale => (
            format!("Error: {tags} stale: somebody else moved what the changeset was planned for"),
            Some("plan again to see what is left to do"),
        ),
        Cause::Unmet => (
            format!("Error: {tags} not attempted: what they need is not on its image"),
            Some("plan again to see what is left to do"),
        ),
        Cause::NotAttempted(why) => (format!("{tags} not attempted: {why}"), None),
    };
    let is_error = !matches!(cause, Cause::NotAttempted(_));
    let style = if is_error { text::ERROR } else { text::STRONG };
    push(
        out,
        format_args!("\n{}\n", view.look.paint(style, escape(&title))),
    );
    let shown = if view.is_full { rows.len() } else { ADDRESSES_MAX };
    let width = rows
        .iter()
        .take(shown)
        .map(|(address, _)| address.len())
        .max()
        .unwrap_or_default()
        .min(80);
    for (address, detail) in rows.iter().take(shown) {
        if detail.is_empty() {
            push(out, format_args!("  {address}\n"));
        } else if *cause == Cause::Stale {
            push(out, format_args!("  {address}\n"));
            for line in detail.lines() {
                push(out, format_args!("    {line}\n"));
            }
        } else {
            push(out, format_args!("  {address:width$}   {}\n", escape(detail)));
        }
    }
    if rows.len() > shown {
        push(
            out,
            format_args!(
                "  … and {} more; the journal has all of them\n",
                rows.len() - shown
            ),
        );
    }
    push_help(out, help);
}

/// The cause of a change that did not succeed, and what there is to say about this one.
fn explain(change: &Change, result: &ChangeResult) -> Option<(Cause, String)> {
    match result {
        ChangeResult::Done | ChangeResult::AlreadyDone => None,
        ChangeResult::Failed(failure) => {
            let request = failure.request_id.as_deref().map(|id| format!("request {id}"));
            let what = cause(failure);
            Some((
                Cause::Failed {
                    what,
                    help: failure.help.clone(),
                },
                request.unwrap_or_default(),
            ))
        }
        ChangeResult::Stale { now } => {
            let (before, after) = (on(change.action.before()), on(change.action.after()));
            let now = on(*now);
            Some((
                Cause::Stale,
                format!("planned from {before}\nplanned to   {after}\nnow on       {now}"),
            ))
        }
        ChangeResult::NotAttempted(NotAttempted::RequirementUnmet(address)) => {
            Some((Cause::Unmet, format!("needs {}", address.tag)))
        }
        ChangeResult::NotAttempted(NotAttempted::Stopped) => {
            let why = "the run had ended before their turn";
            Some((Cause::NotAttempted(why), String::new()))
        }
        ChangeResult::NotAttempted(NotAttempted::EarlierFailed) => {
            let why = "a change of an earlier stage did not succeed";
            Some((Cause::NotAttempted(why), String::new()))
        }
    }
}

/// A digest in full: it is compared with what other programs print.
pub(super) fn on(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "absent".to_owned(), |digest| digest.to_string())
}

/// `not allowed to call PutImage (AccessDeniedException)`.
pub(super) fn cause(failure: &Failure) -> String {
    match failure
        .code
        .as_deref()
        .filter(|code| !failure.message.contains(code))
    {
        Some(code) => format!("{} ({code})", failure.message),
        None => failure.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::super::fixture::{self, HOSTILE};
    use super::*;

    const PLAIN: OutcomeView<'static> = OutcomeView {
        look: Look {
            is_colored: false,
            width: None,
        },
        is_full: false,
        carry_on: None,
    };

    fn outcome(results: Vec<ChangeResult>, ending: Ending) -> Outcome {
        let calls = vec![
            CallCount {
                operation: "BatchGetImage",
                calls: 2,
                throttled: 0,
                retried: 0,
            },
            CallCount {
                operation: "PutImage",
                calls: 5,
                throttled: 3,
                retried: 3,
            },
        ];
        Outcome {
            results,
            ending,
            elapsed: Duration::from_millis(4_210),
            calls,
        }
    }

    fn denied(request_id: &str) -> ChangeResult {
        ChangeResult::Failed(Failure {
            message: "not allowed to call PutImage on this repository".to_owned(),
            code: Some("AccessDeniedException".to_owned()),
            request_id: Some(request_id.to_owned()),
            help: Some("grant `ecr:PutImage`".to_owned()),
        })
    }

    #[test]
    fn a_complete_apply_counts_what_it_did() {
        let changeset = fixture::cutover();
        let done = outcome(vec![ChangeResult::Done; 3], Ending::Finished);
        assert_snapshot!(outcome_text(&changeset, &done, &PLAIN), @r"
        Apply complete! Tags: 1 added, 1 changed, 1 destroyed.
        7 calls (2 BatchGetImage, 5 PutImage), 3 throttled, 3 retried, in 4.2s.
        ");
        let again = outcome(vec![ChangeResult::AlreadyDone; 3], Ending::Finished);
        assert_snapshot!(outcome_text(&changeset, &again, &PLAIN), @r"
        Apply complete! Tags: 0 added, 0 changed, 0 destroyed.
        3 tags were right already.
        7 calls (2 BatchGetImage, 5 PutImage), 3 throttled, 3 retried, in 4.2s.
        ");
    }

    #[test]
    fn an_incomplete_apply_says_why_and_how_to_carry_on() {
        let mut changes = fixture::cutover().changes;
        changes.extend(fixture::two_regions().changes);
        let changeset = Changeset {
            changes,
            ..fixture::two_regions()
        };
        let unmet = NotAttempted::RequirementUnmet(fixture::address("shop/api:1.8.0"));
        let results = vec![
            denied("0a1b"),
            ChangeResult::NotAttempted(unmet),
            ChangeResult::Stale {
                now: Some(fixture::digest("other")),
            },
            denied("2c3d"),
            ChangeResult::NotAttempted(NotAttempted::Stopped),
            ChangeResult::Done,
        ];
        let view = OutcomeView {
            carry_on: Some("ecr-retag apply plans/cut.yaml"),
            ..PLAIN
        };
        assert_snapshot!(outcome_text(
            &changeset,
            &outcome(results, Ending::Stopped),
            &view
        ));
    }

    #[test]
    fn hundreds_of_failures_are_one_cause() {
        let changeset = fixture::large(20);
        let results = (0..changeset.changes.len())
            .map(|n| denied(&format!("{n:04x}")))
            .collect();
        let text = outcome_text(&changeset, &outcome(results, Ending::Finished), &PLAIN);
        assert!(text.lines().count() < 40, "{text}");
        assert!(
            text.contains("Error: 400 tags failed: not allowed") && text.contains("… and 380 more"),
            "{text}"
        );
    }

    #[test]
    fn what_a_registry_says_stays_on_its_line() {
        let failure = Failure {
            message: HOSTILE.to_owned(),
            code: Some(HOSTILE.to_owned()),
            request_id: Some(HOSTILE.to_owned()),
            help: Some(HOSTILE.to_owned()),
        };
        let results = vec![ChangeResult::Failed(failure.clone()); 3];
        let view = OutcomeView {
            carry_on: Some(HOSTILE),
            ..PLAIN
        };
        let text = outcome_text(
            &fixture::cutover(),
            &outcome(
                results,
                Ending::Hopeless {
                    registries: Vec::new(),
                    failure,
                },
            ),
            &view,
        );
        assert!(
            !text.contains(|c: char| text::is_unsafe(c) && c != '\n'),
            "{text:?}"
        );
        assert_eq!(text.matches("\nError: ").count(), 2, "{text}");
    }
}
