//! A changeset and an outcome as Markdown: for comments on pull requests and step summaries.
//!
//! Always below what GitHub takes for a comment, most important things first. What comes from outside stands in
//! code spans and fenced blocks only, where it cannot become a link, a mention or HTML.

use super::changeset::{group_cell, reason, short};
use super::diagnostic::diagnostic_text;
use super::grouping::{self, Entry, Kind};
use super::outcome::{OutcomeCounts, OutcomeView, outcome_text};
use super::summary::{facts_line, plan_line, sections, skipped_by_reason};
use super::text::{Look, counted, escape, len};
use crate::changeset::{Action, Changeset, Counts};
use crate::diagnostic::{Diagnostic, Sources};
use crate::event::Outcome;
use crate::model::Digest;

/// GitHub takes 65,536 characters in a comment; some are left for what others put around it.
pub const MARKDOWN_BYTES_MAX: usize = 59_000;
/// What diagnostics may take of it.
const DIAGNOSTICS_BYTES_MAX: usize = 16_000;
/// What the grouped list may take of it.
const GROUPS_BYTES_MAX: usize = 16_000;
/// What is left for the changes that are not made.
const SKIPPED_BYTES_MAX: usize = 6_000;
/// The lines of the grouped list.
const GROUPS_LINES_MAX: usize = 60;
/// Names are shortened in headings, where nothing else bounds them.
const NAME_CHARS_MAX: usize = 120;

/// What a page about a changeset says beside what is in it.
#[derive(Debug, Clone, Copy)]
pub struct PageView<'a> {
    /// The digest to name.
    pub plan_digest: Option<&'a Digest>,
    /// The pace that the time is guessed from, in calls of `PutImage` per second and registry.
    pub puts_per_second: f64,
}

/// Writes a changeset as Markdown: counts, what there is to say about the plan, grouped changes, then all of them.
pub fn changeset_markdown(changeset: &Changeset, sources: &Sources, view: &PageView<'_>) -> String {
    let mut page = Page::headed("plan", changeset);
    page.line(&format!("**{}**\n", plan_line(changeset)));
    push_registries(&mut page, changeset);
    page.line(&format!("{}\n", facts_line(changeset, view.puts_per_second)));
    if let Some(digest) = view.plan_digest {
        page.line(&format!("Plan digest: `{digest}`\n"));
    }
    push_diagnostics(&mut page, &changeset.diagnostics, sources);
    push_changes(&mut page, changeset);
    push_skipped(&mut page, changeset);
    page.0
}

/// Writes what an apply has done as Markdown.
pub fn outcome_markdown(changeset: &Changeset, outcome: &Outcome, carry_on: Option<&str>) -> String {
    let mut page = Page::headed("apply", changeset);
    page.line(&format!("**{}**\n", OutcomeCounts::of(changeset, outcome).line()));
    let view = OutcomeView {
        look: Look::default(),
        is_full: false,
        carry_on,
    };
    let text = outcome_text(changeset, outcome, &view);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    page.fence("text", &lines, MARKDOWN_BYTES_MAX);
    page.0
}

/// Markdown that grows up to its limit, whole lines at a time.
struct Page(String);

impl Page {
    /// A page under a heading with the command and the plan's name.
    fn headed(command: &str, changeset: &Changeset) -> Self {
        let name = changeset
            .name
            .as_deref()
            .map(|name| format!(" {}", code_span(name)))
            .unwrap_or_default();
        Self(format!("### ecr-retag {command}{name}\n\n"))
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// The bytes that are left, some kept back for what closes what is open.
    fn left(&self) -> usize {
        const CLOSING: usize = 300;
        MARKDOWN_BYTES_MAX.saturating_sub(self.0.len() + CLOSING)
    }

    /// Adds a fenced block of as many lines as fit, and says how many did not.
    fn fence<T: AsRef<str>>(&mut self, language: &str, lines: &[T], bytes_max: usize) {
        let mut left = bytes_max.min(self.left());
        let mut shown: Vec<&str> = Vec::new();
        for line in lines.iter().map(T::as_ref) {
            match left.checked_sub(line.len() + 1) {
                Some(rest) => left = rest,
                None => break,
            }
            shown.push(line);
        }
        let text = shown.join("\n");
        let fence = "`".repeat((longest_run(&text) + 1).max(3));
        if fence.len() < 100 && !shown.is_empty() {
            self.line(&format!("{fence}{language}\n{text}\n{fence}\n"));
        } else {
            shown.clear();
        }
        if shown.len() < lines.len() {
            let more = counted(len(lines) - len(&shown), "more line", "more lines");
            self.line(&format!("… and {more}; `ecr-retag show --full` lists all.\n"));
        }
    }

    fn details<T: AsRef<str>>(&mut self, summary: &str, language: &str, lines: &[T], bytes_max: usize) {
        self.line(&format!("<details><summary>{summary}</summary>\n"));
        self.fence(language, lines, bytes_max);
        self.line("</details>\n");
    }
}

/// A table of the registries, or the one there is.
fn push_registries(page: &mut Page, changeset: &Changeset) {
    const ROWS_MAX: usize = 40;
    let sections = sections(changeset);
    match sections.as_slice() {
        [] => return,
        [section] => return page.line(&format!("In `{}`.\n", section.place)),
        _ => page.line("| registry | to add | to change | to destroy |\n| --- | --: | --: | --: |"),
    }
    for section in sections.iter().take(ROWS_MAX) {
        let Counts {
            creates,
            moves,
            removes,
        } = Counts::of(section.changes.iter().copied());
        page.line(&format!(
            "| `{}` | {creates} | {moves} | {removes} |",
            section.place
        ));
    }
    page.line("");
}

fn push_diagnostics(page: &mut Page, diagnostics: &[Diagnostic], sources: &Sources) {
    if diagnostics.is_empty() {
        return;
    }
    let mut lines = Vec::new();
    let mut bytes = 0;
    for diagnostic in diagnostics {
        if bytes < DIAGNOSTICS_BYTES_MAX {
            let text = diagnostic_text(diagnostic, sources, Look::default());
            bytes += text.len();
            lines.extend(text.lines().map(str::to_owned));
        } else {
            // Not drawn, but counted.
            lines.push(String::new());
        }
        lines.push(String::new());
    }
    lines.pop();
    page.fence("text", &lines, DIAGNOSTICS_BYTES_MAX);
}

fn push_changes(page: &mut Page, changeset: &Changeset) {
    if changeset.changes.is_empty() {
        return;
    }
    let sections = sections(changeset);
    let lines_max = (GROUPS_LINES_MAX / sections.len().max(1)).max(4);
    let is_qualified = changeset.is_qualified();
    let mut grouped = Vec::new();
    let mut all = Vec::new();
    for section in &sections {
        let heading = format!("# {}", section.place);
        let entries = grouping::list(&section.changes, Some(lines_max));
        grouped.push(heading.clone());
        grouped.extend(lines(&entries, is_qualified));
        all.push(heading);
        all.extend(lines(&grouping::list(&section.changes, None), is_qualified));
    }
    page.fence("diff", &grouped, GROUPS_BYTES_MAX);
    if grouped.len() < all.len() {
        let summary = format!("All {} changes", changeset.changes.len());
        let bytes_max = page.left().saturating_sub(SKIPPED_BYTES_MAX);
        page.details(&summary, "diff", &all, bytes_max);
    }
}

/// A line for each entry, in columns, with the signs that colour a `diff` block.
fn lines(entries: &[Entry<'_>], is_qualified: bool) -> Vec<String> {
    const COLUMN_MAX: usize = 110;
    let address = |entry: &Entry<'_>| entry.first.address.to_text(is_qualified);
    let address_width = entries
        .iter()
        .filter(|entry| entry.is_single())
        .map(|entry| address(entry).len())
        .filter(|width| *width <= COLUMN_MAX / 2)
        .max()
        .unwrap_or_default();
    let rows: Vec<(char, String, String)> = entries
        .iter()
        .map(|entry| {
            let sign = match entry.kind() {
                Kind::Move => '!',
                kind => kind.sign(),
            };
            let cell = if entry.is_single() {
                change_cell(entry.first.action, &address(entry), address_width)
            } else {
                group_cell(entry, is_qualified)
            };
            (sign, cell, reason(entry))
        })
        .collect();
    let widths = rows
        .iter()
        .map(|(_, cell, _)| cell.chars().count())
        .filter(|width| *width <= COLUMN_MAX);
    let width = widths.max().unwrap_or_default();
    rows.into_iter()
        .map(|(sign, cell, reason)| format!("{sign} {cell:width$}   {reason}").trim_end().to_owned())
        .collect()
}

fn change_cell(action: Action, address: &str, width: usize) -> String {
    match action {
        Action::Create { after: digest } | Action::Remove { before: digest } => {
            format!("{address:width$}   {}", short(digest))
        }
        Action::Move { before, after } => format!("{address:width$}   {} -> {}", short(before), short(after)),
    }
}

fn push_skipped(page: &mut Page, changeset: &Changeset) {
    if changeset.skipped.is_empty() {
        return;
    }
    let by_reason: Vec<String> = skipped_by_reason(changeset)
        .iter()
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    let rows: Vec<String> = changeset
        .skipped
        .iter()
        .map(|skipped| {
            let why = skipped.why.to_string();
            format!(
                "{}   {}",
                skipped.address.to_text(changeset.is_qualified()),
                escape(&why)
            )
        })
        .collect();
    page.details(
        &format!("Skipped: {}", by_reason.join(", ")),
        "text",
        &rows,
        SKIPPED_BYTES_MAX,
    );
}

/// A short text from outside as inline code.
fn code_span(text: &str) -> String {
    let mut shown: String = escape(text).chars().take(NAME_CHARS_MAX).collect();
    if shown.len() < escape(text).len() {
        shown.push('…');
    }
    match longest_run(&shown) {
        0 => format!("`{shown}`"),
        run => {
            let fence = "`".repeat(run + 1);
            // A space on both sides is taken away again; it parts the text's own backticks from ours.
            format!("{fence} {shown} {fence}")
        }
    }
}

/// The longest run of backticks: a fence must be longer.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::super::fixture::{self, HOSTILE};
    use super::super::text::is_unsafe;
    use super::*;
    use crate::changeset::{Reason, SkipReason};
    use crate::diagnostic::{Code, Span};
    use crate::event::{ChangeResult, Ending, Failure};

    const VIEW: PageView<'static> = PageView {
        plan_digest: None,
        puts_per_second: 10.0,
    };

    fn markdown(changeset: &Changeset) -> String {
        changeset_markdown(changeset, &Sources::default(), &VIEW)
    }

    fn check(text: &str) {
        assert!(text.len() < 60_000, "{} bytes", text.len());
        assert!(!text.contains(|c: char| is_unsafe(c) && c != '\n'));
        let opened = text.matches("<details>").count();
        assert_eq!(opened, text.matches("\n</details>\n").count());
    }

    #[test]
    fn a_cutover_fits_on_a_page() {
        let (sources, diagnostics) = fixture::mistakes();
        let digest = fixture::digest("plan");
        let changeset = Changeset {
            name: Some("cut-1.8.0".to_owned()),
            diagnostics: diagnostics.into_iter().skip(2).collect(),
            ..fixture::cutover()
        };
        let view = PageView {
            plan_digest: Some(&digest),
            ..VIEW
        };
        assert_snapshot!(changeset_markdown(&changeset, &sources, &view));
    }

    #[test]
    fn several_registries_are_a_table() {
        assert_snapshot!(markdown(&fixture::two_regions()));
    }

    #[test]
    fn ten_thousand_changes_stay_under_the_limit() {
        let text = markdown(&fixture::large(500));
        check(&text);
        assert!(text.len() > 40_000, "{} bytes", text.len());
        assert!(text.contains("<summary>All 10000 changes</summary>"));
        assert_snapshot!(text.lines().take(20).collect::<Vec<_>>().join("\n"));
        let tail: Vec<&str> = text.lines().rev().take(5).collect();
        assert!(
            tail.iter()
                .any(|line| line.starts_with("… and ") && line.contains(" more lines;")),
            "{tail:?}"
        );
    }

    #[test]
    fn an_outcome_is_told_under_the_limit() {
        let changeset = fixture::large(500);
        let failure = |n: usize| Failure {
            message: format!("{HOSTILE} {n} {}", "x".repeat(5_000)),
            code: None,
            request_id: None,
            help: None,
        };
        let outcome = Outcome {
            results: (0..changeset.changes.len())
                .map(|n| ChangeResult::Failed(failure(n)))
                .collect(),
            ending: Ending::Finished,
            elapsed: Duration::from_secs(1),
            calls: Vec::new(),
        };
        let text = outcome_markdown(&changeset, &outcome, Some("ecr-retag apply"));
        check(&text);
        assert!(text.contains("**Apply incomplete! Tags: 0 applied, 10000 failed,"));
    }

    /// What stands outside of code: there nothing from outside may be.
    fn outside_of_code(text: &str) -> String {
        let mut outside = String::new();
        let mut fence: Option<String> = None;
        for line in text.lines() {
            let run: String = line.chars().take_while(|c| *c == '`').collect();
            match &fence {
                Some(open) if line == open => fence = None,
                Some(_) => {}
                None if run.len() >= 3 => fence = Some(run),
                None => {
                    outside.push_str(line.split(" `").next().unwrap());
                    outside.push('\n');
                }
            }
        }
        assert_eq!(fence, None, "a fence is left open");
        outside
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_changeset_stays_in_its_bounds(
            repositories in 0..40_usize,
            text in "(?s)(.|`|\n|<!--|</details>){0,60}",
            repeat in 1..400_usize,
            skips in 0..300_usize,
        ) {
            let hostile = format!("{}@everyone{HOSTILE}", text.repeat(repeat));
            let mut sources = Sources::default();
            let source = sources.add(hostile.clone(), hostile.clone());
            let mut changeset = fixture::large(repositories);
            for (index, change) in changeset.changes.iter_mut().enumerate().filter(|(index, _)| index % 3 == 0) {
                change.reason = Reason::Saved(format!("{index} {hostile}"));
            }
            changeset.name = Some(hostile.clone());
            changeset.skipped = vec![fixture::skipped("shop/api:prod", SkipReason::Kept); skips];
            changeset.diagnostics = vec![
                Diagnostic::warning(Code::BadGlob, hostile.clone())
                    .at(Span { source, start: 3, end: 9 }, hostile.clone())
                    .help(hostile);
                skips / 10
            ];
            let text = changeset_markdown(&changeset, &sources, &VIEW);
            check(&text);
            let outside = outside_of_code(&text);
            prop_assert!(!outside.contains("@everyone") && !outside.contains("<script>"), "{outside}");
        }
    }
}
