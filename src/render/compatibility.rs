//! The patterns by which other programs read terraform's output, as they stand in their sources in 2025, held
//! against our text. If one of these tests fails, somebody's pull requests stop showing plans.

use regex::Regex;

use super::fixture;
use super::{ChangesetView, Look, OutcomeView, changeset_text, diagnostics_text, outcome_text};
use crate::changeset::Changeset;
use crate::event::{ChangeResult, Ending, Failure, Outcome};

/// tfcmt, `pkg/terraform/parser.go`.
mod tfcmt {
    pub(super) const PASS: &str = r"(?m)^(Plan: \d|No changes.)";
    pub(super) const FAIL: &str = r"(?m)^([│|] )?(Error: )";
    pub(super) const WARNING: &str = r"(?m)^([│|] )?(Warning: )";
    pub(super) const HAS_DESTROY: &str = r"(?m)([1-9][0-9]* to destroy.)";
    pub(super) const HAS_NO_CHANGES: &str = r"(?m)^(No changes.)";
    pub(super) const CREATE: &str = r"(?m)^ *# (.*) will be created$";
    pub(super) const UPDATE: &str = r"(?m)^ *# (.*) will be updated in-place$";
    pub(super) const DELETE: &str = r"(?m)^ *# (.*) will be destroyed$";
    pub(super) const APPLY_PASS: &str = r"(?m)^(Apply complete!)";
    pub(super) const APPLY_FAIL: &str = r"(?m)^(Error: )";
}

/// Atlantis, `server/events/models/models.go`.
mod atlantis {
    pub(super) const PLAN_CHANGES: &str =
        r"Plan: (?:(\d+) to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy.";
    pub(super) const NO_CHANGES: &str =
        r"No changes. (Infrastructure is up-to-date|Your infrastructure matches the configuration).";
    pub(super) const DIFF_KEYWORD: &str =
        r"(?m)^( +)([-+~]\s)(.*)(\s=\s|\s->\s|<<|\{|\(known after apply\)| {2,}[^ ]+:.*)(.*)";
}

/// dflook/terraform-github-actions, `image/src/github_pr_comment/` and `image/src/plan_summary/`.
mod dflook {
    pub(super) const OPERATION: &str = r"(\d+) to (\w+)";
    pub(super) const PLAN: &str = r"(?m)^Plan: \d+ to add, \d+ to change, \d+ to destroy";
    pub(super) const DIFF: &str = r"(?m)^(?P<leading_space>\s+)(?P<operation>[+-/~]+)(?P<trailing>.*)";
    pub(super) const SUMMARY_STARTS: [&str; 3] = ["No changes", "Error", "Plan:"];
}

/// Terraform Cloud's and others' wrappers: both lines stand alone, to the full stop.
const PLAN_LINE: &str = r"(?m)^Plan: ([\d]+) to add, ([\d]+) to change, ([\d]+) to destroy.$";
const NO_CHANGES_LINE: &str = r"(?m)^No changes. Your infrastructure matches the configuration.$";

fn text(changeset: &Changeset) -> String {
    let view = ChangesetView {
        look: Look::default(),
        is_full: false,
        plan_digest: None,
        puts_per_second: 10.0,
    };
    changeset_text(changeset, &view)
}

fn is_match(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).unwrap().is_match(text)
}

fn captures<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    let regex = Regex::new(pattern).unwrap();
    regex
        .captures_iter(text)
        .map(|captures| captures.get(1).unwrap().as_str())
        .collect()
}

#[test]
fn tfcmt_lists_what_is_created_changed_and_destroyed() {
    let text = text(&fixture::cutover());
    assert!(is_match(tfcmt::PASS, &text) && is_match(tfcmt::HAS_DESTROY, &text));
    assert!(!is_match(tfcmt::FAIL, &text) && !is_match(tfcmt::HAS_NO_CHANGES, &text));
    assert_eq!(captures(tfcmt::CREATE, &text), ["shop/api:1.8.0"]);
    assert_eq!(captures(tfcmt::UPDATE, &text), ["shop/api:stable"]);
    assert_eq!(captures(tfcmt::DELETE, &text), ["shop/api:1.8.0-rc.3"]);
}

#[test]
fn nothing_to_destroy_is_no_destroy() {
    let text = text(&fixture::two_regions());
    assert!(is_match(tfcmt::PASS, &text) && !is_match(tfcmt::HAS_DESTROY, &text));
}

#[test]
fn no_changes_is_understood() {
    let text = text(&fixture::changeset(Vec::new()));
    for pattern in [
        tfcmt::PASS,
        tfcmt::HAS_NO_CHANGES,
        atlantis::NO_CHANGES,
        NO_CHANGES_LINE,
    ] {
        assert!(is_match(pattern, &text), "{pattern}");
    }
    assert!(!is_match(atlantis::PLAN_CHANGES, &text));
}

#[test]
fn atlantis_and_dflook_read_the_counts() {
    let operation = Regex::new(dflook::OPERATION).unwrap();
    for changeset in [fixture::cutover(), fixture::two_regions(), fixture::large(100)] {
        let text = text(&changeset);
        for pattern in [atlantis::PLAN_CHANGES, dflook::PLAN, PLAN_LINE] {
            assert_eq!(
                Regex::new(pattern).unwrap().find_iter(&text).count(),
                1,
                "{pattern}"
            );
        }
        let line = text.lines().find(|line| line.starts_with("Plan:")).unwrap();
        let words: Vec<String> = operation
            .captures_iter(line)
            .map(|captures| captures[2].to_owned())
            .collect();
        assert_eq!(words, ["add", "change", "destroy"]);
        let first = text
            .lines()
            .find(|line| dflook::SUMMARY_STARTS.iter().any(|start| line.starts_with(start)));
        assert_eq!(
            first,
            Some(line),
            "dflook takes the first of these lines for the summary"
        );
    }
}

#[test]
fn a_change_becomes_a_line_of_a_diff() {
    for changeset in [fixture::cutover(), fixture::large(100)] {
        let text = text(&changeset);
        let is_change = |line: &&str| ["  + ", "  ~ ", "  - "].iter().any(|sign| line.starts_with(sign));
        for line in text.lines().filter(is_change) {
            assert!(is_match(dflook::DIFF, line), "{line}");
            assert!(is_match(atlantis::DIFF_KEYWORD, line), "{line}");
        }
    }
}

#[test]
fn errors_and_warnings_are_told_apart() {
    let (sources, diagnostics) = fixture::mistakes();
    let errors = diagnostics_text(&diagnostics[..2], &sources, Look::default());
    assert!(is_match(tfcmt::FAIL, &errors) && !is_match(tfcmt::WARNING, &errors));
    let warnings = diagnostics_text(&diagnostics[2..], &sources, Look::default());
    assert!(is_match(tfcmt::WARNING, &warnings) && !is_match(tfcmt::FAIL, &warnings));
}

#[test]
fn an_apply_is_complete_or_has_an_error() {
    let changeset = fixture::cutover();
    let text = |results: Vec<ChangeResult>, ending: Ending| {
        let outcome = Outcome {
            results,
            ending,
            elapsed: std::time::Duration::ZERO,
            calls: Vec::new(),
        };
        outcome_text(
            &changeset,
            &outcome,
            &OutcomeView {
                look: Look::default(),
                is_full: false,
                carry_on: None,
            },
        )
    };
    let complete = text(vec![ChangeResult::Done; 3], Ending::Finished);
    assert!(is_match(tfcmt::APPLY_PASS, &complete) && !is_match(tfcmt::APPLY_FAIL, &complete));
    let failure = Failure {
        message: "denied".to_owned(),
        code: None,
        request_id: None,
        help: None,
    };
    let not_attempted = ChangeResult::NotAttempted(crate::event::NotAttempted::Stopped);
    for (last, ending) in [
        (ChangeResult::Failed(failure), Ending::Stopped),
        (ChangeResult::Stale { now: None }, Ending::Finished),
        (not_attempted, Ending::OutOfTime),
    ] {
        let incomplete = text(vec![ChangeResult::Done, ChangeResult::AlreadyDone, last], ending);
        assert!(
            !is_match(tfcmt::APPLY_PASS, &incomplete) && is_match(tfcmt::APPLY_FAIL, &incomplete),
            "{incomplete}"
        );
    }
}
