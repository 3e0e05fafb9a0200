//! A changeset as text, in lines that other programs read too.
//!
//! The lines `# ADDRESS will be created`, `Plan: 1 to add, …` and `No changes. …` are terraform's, so that what
//! reads a terraform plan reads this.

use anstyle::Style;

use super::grouping::{self, Entry, Kind};
use super::summary::{facts_line, plan_line, sections};
use super::text::{self, Look, counted, escape, len, push};
use crate::changeset::{Change, Changeset};
use crate::model::Digest;

/// A list of changes that takes more lines is too long to read; changes that are alike become one line.
const PAGE_LINES_MAX: usize = 60;
/// The lines that are left then, so that with all around it the text stays under a hundred.
const COLLAPSED_LINES_MAX: usize = 72;
/// Changes that are not made are listed if there are no more of them, and counted otherwise.
const SKIPPED_LISTED_MAX: usize = 10;
/// Longer tags do not push the columns of all others to the right.
const TAG_COLUMN_MAX: usize = 40;
/// `sha256:` and twelve hex digits.
const DIGEST_COLUMNS: usize = 19;
/// ` -> ` between two digests.
const ARROW: &str = " -> ";

/// How to show a changeset.
#[derive(Debug, Clone, Copy)]
pub struct ChangesetView<'a> {
    /// How the text may look.
    pub look: Look,
    /// Whether to list everything: no groups, and also what is right already.
    pub is_full: bool,
    /// The digest to name at the end.
    pub plan_digest: Option<&'a Digest>,
    /// The pace that the time is guessed from, in calls of `PutImage` per second and registry.
    pub puts_per_second: f64,
}

/// Writes a changeset as text; warnings and errors go elsewhere, before it.
pub fn changeset_text(changeset: &Changeset, view: &ChangesetView<'_>) -> String {
    let mut out = String::new();
    let is_errored = changeset.is_errored();
    let sections = sections(changeset);
    let lines_max = lines_max(changeset, sections.len(), view.is_full);
    let mut has_groups = false;
    for section in &sections {
        let place = &section.place;
        if is_errored {
            push(
                &mut out,
                format_args!("ecr-retag planned the following actions in {place}, and found problems:\n\n"),
            );
        } else {
            push(
                &mut out,
                format_args!("ecr-retag will perform the following actions in {place}:\n\n"),
            );
        }
        let entries = grouping::list(&section.changes, lines_max);
        has_groups |= entries.iter().any(|entry| !entry.is_single());
        push_entries(&mut out, &entries, changeset.is_qualified(), view.look);
        out.push('\n');
    }
    if has_groups {
        let total = counted(len(&changeset.changes), "change", "changes");
        push(
            &mut out,
            format_args!("Changes that are alike are shown together; --full lists all {total}.\n\n"),
        );
    }
    push_skipped(&mut out, changeset, view);
    if view.is_full {
        push_unchanged(&mut out, changeset);
    }
    push_summary(&mut out, changeset, view);
    out
}

/// The lines that each registry may take, or no limit if all changes fit on a page.
fn lines_max(changeset: &Changeset, section_count: usize, is_full: bool) -> Option<usize> {
    let fits = changeset.changes.len() * 2 <= PAGE_LINES_MAX;
    (!is_full && !fits).then(|| (COLLAPSED_LINES_MAX / section_count.max(1)).max(6))
}

pub(super) fn push_entries(out: &mut String, entries: &[Entry<'_>], is_qualified: bool, look: Look) {
    let columns = Columns::of(entries, is_qualified, look);
    for entry in entries {
        let style = match entry.kind() {
            Kind::Create => text::ADDED,
            Kind::Move => text::CHANGED,
            Kind::Remove => text::REMOVED,
        };
        let (cell, reason) = if entry.is_single() {
            let address = entry.first.address.to_text(is_qualified);
            let comment = format!("# {address} {}", entry.kind().will_be());
            push(out, format_args!("  {}\n", look.paint(text::STRONG, comment)));
            (columns.cell(entry.first), reason(entry))
        } else {
            (group_cell(entry, is_qualified), reason(entry))
        };
        columns.push_line(out, entry, style, &cell, &reason, look);
    }
}

/// Why, and in which stage if that is not the first.
pub(super) fn reason(entry: &Entry<'_>) -> String {
    let mut reason = escape(&entry.reason().unwrap_or_default()).into_owned();
    if let Some(stage) = entry.stage().filter(|stage| *stage > 0) {
        let comma = if reason.is_empty() { "" } else { ", " };
        push(&mut reason, format_args!("{comma}stage {stage}"));
    }
    reason
}

/// `stable -> sha256:6d93b41cfc6b in 38 repositories`.
pub(super) fn group_cell(entry: &Entry<'_>, is_qualified: bool) -> String {
    let mut cell = match entry.tag() {
        Some(tag) => tag.to_string(),
        None => counted(len(&entry.changes), "tag", "tags"),
    };
    match entry.after() {
        Some(after) => push(&mut cell, format_args!("{ARROW}{}", short(after))),
        None if entry.kind() != Kind::Remove && entry.tag().is_some() => {
            push(&mut cell, format_args!("{ARROW}…"));
        }
        None => {}
    }
    match entry.repository_count() {
        1 => push(&mut cell, format_args!(" in {}", entry.first.address.repository)),
        count => push(&mut cell, format_args!(" in {count} repositories")),
    }
    if entry.tag().is_none() {
        // An example, apart as a column of its own: Atlantis takes the line for a change only then.
        push(
            &mut cell,
            format_args!("   {}, …", entry.first.address.to_text(is_qualified)),
        );
    }
    cell
}

pub(super) fn short(digest: Digest) -> String {
    format!("sha256:{}", digest.short())
}

/// Where the columns of a list begin.
struct Columns {
    tag: usize,
    reason: usize,
    group_reason: usize,
    is_narrow: bool,
}

impl Columns {
    /// The tags of what is created or moved decide; that of a removal may run into the place of the second digest.
    fn of(entries: &[Entry<'_>], is_qualified: bool, look: Look) -> Self {
        const GAP: usize = 3;
        let widest = |removals: bool| {
            entries
                .iter()
                .filter(|entry| entry.is_single() && removals == entry.first.action.is_removal())
                .map(|entry| entry.first.address.tag.as_str().len())
                .filter(|len| *len <= TAG_COLUMN_MAX)
                .max()
        };
        let tag = widest(false).or_else(|| widest(true)).unwrap_or_default() + GAP;
        let reason = tag + DIGEST_COLUMNS + ARROW.len() + DIGEST_COLUMNS + GAP;
        let group_reason = entries
            .iter()
            .filter(|entry| !entry.is_single())
            .map(|entry| group_cell(entry, is_qualified).chars().count() + GAP)
            .filter(|len| *len <= reason + TAG_COLUMN_MAX)
            .max()
            .unwrap_or_default();
        let longest_reason = entries
            .iter()
            .map(|entry| reason_len(entry))
            .max()
            .unwrap_or_default();
        let is_narrow = look
            .width
            .is_some_and(|width| width < "  + ".len() + reason.max(group_reason) + longest_reason);
        Self {
            tag,
            reason,
            group_reason,
            is_narrow,
        }
    }

    /// `1.8.0    sha256:fc379bbd5ed3 -> sha256:6d93b41cfc6b`.
    fn cell(&self, change: &Change) -> String {
        let tag = change.address.tag.as_str();
        // A tag that is wider than its column still has to be told from what follows.
        let width = self.tag.max(tag.len() + 3);
        match (change.action.before(), change.action.after()) {
            (Some(before), Some(after)) => format!("{tag:width$}{}{ARROW}{}", short(before), short(after)),
            (Some(digest), None) | (None, Some(digest)) => format!("{tag:width$}{}", short(digest)),
            (None, None) => tag.to_owned(),
        }
    }

    fn push_line(
        &self,
        out: &mut String,
        entry: &Entry<'_>,
        style: Style,
        cell: &str,
        reason: &str,
        look: Look,
    ) {
        let sign = look.paint(style, entry.kind().sign());
        if reason.is_empty() {
            push(out, format_args!("  {sign} {cell}\n"));
        } else if self.is_narrow {
            push(
                out,
                format_args!("  {sign} {cell}\n      {}\n", look.paint(text::FAINT, reason)),
            );
        } else {
            let start = if entry.is_single() {
                self.reason
            } else {
                self.group_reason
            };
            let gap = start.saturating_sub(cell.chars().count()).max(3);
            push(
                out,
                format_args!("  {sign} {cell}{:gap$}{}\n", "", look.paint(text::FAINT, reason)),
            );
        }
    }
}

fn reason_len(entry: &Entry<'_>) -> usize {
    reason(entry).chars().count()
}

fn push_skipped(out: &mut String, changeset: &Changeset, view: &ChangesetView<'_>) {
    if changeset.skipped.is_empty() || (!view.is_full && changeset.skipped.len() > SKIPPED_LISTED_MAX) {
        return;
    }
    let rows = changeset.skipped.iter().map(|skipped| {
        let address = skipped.address.to_text(changeset.is_qualified());
        (address, escape(&skipped.why.to_string()).into_owned())
    });
    push_table(out, "Skipped:", rows);
}

fn push_unchanged(out: &mut String, changeset: &Changeset) {
    if changeset.unchanged.is_empty() {
        return;
    }
    let rows = changeset.unchanged.iter().map(|unchanged| {
        let address = unchanged.address.to_text(changeset.is_qualified());
        (
            address,
            unchanged.digest.map_or_else(|| "already gone".to_owned(), short),
        )
    });
    push_table(out, "Already correct:", rows);
}

/// A heading, and under it lines of two columns.
pub(super) fn push_table(out: &mut String, heading: &str, rows: impl Iterator<Item = (String, String)>) {
    let rows: Vec<(String, String)> = rows.collect();
    let width = rows
        .iter()
        .map(|(left, _)| left.len())
        .filter(|len| *len <= 80)
        .max()
        .unwrap_or_default();
    push(out, format_args!("{heading}\n"));
    for (left, right) in rows {
        push(out, format_args!("  {left:width$}   {right}\n"));
    }
    out.push('\n');
}

fn push_summary(out: &mut String, changeset: &Changeset, view: &ChangesetView<'_>) {
    push(
        out,
        format_args!("{}\n", view.look.paint(text::STRONG, plan_line(changeset))),
    );
    push(
        out,
        format_args!("{}\n", facts_line(changeset, view.puts_per_second)),
    );
    if let Some(name) = &changeset.name {
        push(out, format_args!("Plan name: {}\n", escape(name)));
    }
    if let Some(digest) = view.plan_digest.filter(|_| !changeset.is_errored()) {
        push(out, format_args!("Plan digest: {digest}\n"));
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::fixture::{self, HOSTILE};
    use super::*;
    use crate::changeset::{Reason, SkipReason};
    use crate::diagnostic::{Code, Diagnostic};

    const PLAIN: ChangesetView<'static> = ChangesetView {
        look: Look {
            is_colored: false,
            width: None,
        },
        is_full: false,
        plan_digest: None,
        puts_per_second: 10.0,
    };

    fn plain(changeset: &Changeset) -> String {
        changeset_text(changeset, &PLAIN)
    }

    #[test]
    fn a_cutover_reads_as_specified() {
        let digest = fixture::digest("plan");
        let view = ChangesetView {
            plan_digest: Some(&digest),
            ..PLAIN
        };
        assert_snapshot!(changeset_text(&fixture::cutover(), &view));
    }

    #[test]
    fn colour_adds_only_escape_sequences() {
        let look = Look {
            is_colored: true,
            width: None,
        };
        let colored = changeset_text(&fixture::cutover(), &ChangesetView { look, ..PLAIN });
        assert_snapshot!(colored.replace('\u{1b}', "␛"));
        assert_eq!(
            anstream::adapter::strip_str(&colored).to_string(),
            plain(&fixture::cutover())
        );
    }

    #[test]
    fn a_narrow_terminal_gets_the_reason_on_its_own_line() {
        let look = Look {
            is_colored: false,
            width: Some(70),
        };
        assert_snapshot!(changeset_text(
            &fixture::cutover(),
            &ChangesetView { look, ..PLAIN }
        ));
    }

    #[test]
    fn each_registry_has_its_own_header() {
        assert_snapshot!(plain(&fixture::two_regions()));
    }

    #[test]
    fn nothing_to_do_is_said_in_terraforms_words() {
        let changeset = Changeset {
            unchanged_count: 3,
            ..fixture::changeset(Vec::new())
        };
        assert_snapshot!(plain(&changeset), @r"
        No changes. Your infrastructure matches the configuration.
        3 already correct.
        ");
    }

    #[test]
    fn what_is_only_skipped_says_why() {
        let changeset = Changeset {
            skipped: vec![
                fixture::skipped("shop/api:prod", SkipReason::Protected),
                fixture::skipped("shop/api:stable", SkipReason::Kept),
                fixture::skipped("shop/web:stable", SkipReason::Kept),
            ],
            ..fixture::changeset(Vec::new())
        };
        assert_snapshot!(plain(&changeset));
    }

    #[test]
    fn a_plan_with_errors_never_looks_like_one_that_can_be_applied() {
        let broken = |changeset: Changeset| Changeset {
            diagnostics: vec![Diagnostic::error(Code::LastTag, "last tag")],
            ..changeset
        };
        let text = plain(&broken(fixture::cutover()));
        assert!(text.contains(
            "ecr-retag planned the following actions in 123456789012/eu-west-1, and found problems:"
        ));
        assert!(text.contains("\nPlanning failed. As far as it goes: 1 to add, 1 to change, 1 to destroy;"));
        for text in [text, plain(&broken(fixture::changeset(Vec::new())))] {
            assert!(!text.contains("Plan:") && !text.contains("No changes."), "{text}");
        }
    }

    #[test]
    fn full_lists_what_is_right_already() {
        let changeset = Changeset {
            unchanged: vec![fixture::unchanged("shop/api:1.7.3", "old")],
            unchanged_count: 1,
            ..fixture::cutover()
        };
        assert_snapshot!(changeset_text(
            &changeset,
            &ChangesetView {
                is_full: true,
                ..PLAIN
            }
        ));
    }

    #[test]
    fn names_and_reasons_from_outside_stay_on_their_line() {
        let mut changeset = fixture::cutover();
        changeset.name = Some(HOSTILE.to_owned());
        for change in &mut changeset.changes {
            change.reason = Reason::Saved(HOSTILE.to_owned());
        }
        let text = plain(&changeset);
        assert!(
            !text.contains(|c: char| text::is_unsafe(c) && c != '\n'),
            "{text:?}"
        );
        assert!(!text.contains("\nError: "), "{text}");
    }

    #[test]
    fn the_same_change_in_many_repositories_is_one_line() {
        let changes = (0..38)
            .map(|n| {
                fixture::moved(
                    &format!("shop/s{n}:stable"),
                    &format!("a{n}"),
                    &format!("b{n}"),
                    "1.8.0-rc.3",
                )
            })
            .chain([fixture::create("shop/s1:only-here", "x", "candidate")])
            .collect();
        assert_snapshot!(plain(&fixture::changeset(changes)));
    }

    #[test]
    fn ten_thousand_changes_take_less_than_a_hundred_lines() {
        let changeset = fixture::large(500);
        assert_eq!(changeset.changes.len(), 10_000);
        let text = plain(&changeset);
        assert!(text.lines().count() < 100, "{text}");
        assert_snapshot!(text);
        let full = changeset_text(
            &changeset,
            &ChangesetView {
                is_full: true,
                ..PLAIN
            },
        );
        assert!(full.lines().count() > 20_000);
    }
}
