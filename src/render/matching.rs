//! What rules make of the tags they see: for whoever writes a rule and wonders what it takes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::text::{self, Look, counted, escape, escape_json, len, push};
use crate::changeset::file::{DiagnosticRecord, FORMAT_VERSION};
use crate::changeset::{Choice, LeftOut, Origin, RuleMatch, SourceMatch, TargetMatch};
use crate::diagnostic::Sources;

/// Sources that are listed of one rule and repository, unless all are asked for.
const SOURCES_MAX: usize = 20;
/// Tags that are named for one reason to leave them out.
const EXAMPLES_MAX: usize = 5;
/// Reasons that are named.
const REASONS_MAX: usize = 12;
/// Longer tags do not push the column of targets to the right.
const TAG_COLUMN_MAX: usize = 40;

/// How to show matches.
#[derive(Debug, Clone, Copy)]
pub struct MatchView {
    /// How the text may look.
    pub look: Look,
    /// Whether to list every tag.
    pub is_full: bool,
    /// Whether the plan has several registries, so that repositories carry their names.
    pub is_qualified: bool,
}

/// Writes what one rule makes of one repository; problems are diagnostics and go elsewhere.
pub fn match_text(found: &RuleMatch, view: &MatchView) -> String {
    let mut out = String::new();
    let place = if view.is_qualified {
        format!("{}/{}", found.registry, found.repository)
    } else {
        found.repository.to_string()
    };
    let heading = format!("rule `{}` in {place}", escape(&found.rule));
    let selected = counted(len(&found.sources), "source", "sources");
    let of = if found.left_out.is_empty() {
        String::new()
    } else {
        format!(" of {}", counted(found.tags_count as u64, "tag", "tags"))
    };
    push(
        &mut out,
        format_args!("{}: {selected}{of}\n", view.look.paint(text::STRONG, heading)),
    );
    push_sources(&mut out, &found.sources, view);
    for missing in &found.missing {
        push(&mut out, format_args!("  {}: not there\n", escape(missing)));
    }
    push_left_out(&mut out, &found.left_out, view);
    out
}

fn push_sources(out: &mut String, sources: &[SourceMatch], view: &MatchView) {
    let counts = |source: &&SourceMatch| view.is_full || source.targets.iter().any(|target| !is_lost(target));
    let (counting, outranked): (Vec<&SourceMatch>, Vec<&SourceMatch>) = sources.iter().partition(counts);
    let shown = if view.is_full { counting.len() } else { SOURCES_MAX };
    let names: Vec<String> = counting
        .iter()
        .take(shown)
        .map(|source| origin(&source.source))
        .collect();
    let column = names
        .iter()
        .map(String::len)
        .max()
        .unwrap_or_default()
        .min(TAG_COLUMN_MAX);
    for (source, name) in counting.iter().zip(names) {
        let targets = source
            .targets
            .iter()
            .filter(|target| view.is_full || !is_lost(target));
        let targets: Vec<String> = targets.map(target).collect();
        push(out, format_args!("  {name:column$} -> {}\n", targets.join(", ")));
    }
    push_more(
        out,
        "  ",
        counting.len().saturating_sub(shown),
        "source",
        "sources",
    );
    if !outranked.is_empty() {
        let names: Vec<String> = outranked.iter().map(|source| origin(&source.source)).collect();
        let listed = examples(&names, EXAMPLES_MAX);
        push(out, format_args!("  outranked by these: {listed}\n"));
    }
}

fn is_lost(target: &TargetMatch) -> bool {
    matches!(target.choice, Choice::Lost { .. })
}

/// `6 tags (a, b, c, d, e, …)`.
fn examples<T: AsRef<str>>(tags: &[T], examples_max: usize) -> String {
    let shown: Vec<&str> = tags.iter().take(examples_max).map(AsRef::as_ref).collect();
    let more = if shown.len() < tags.len() { ", …" } else { "" };
    format!(
        "{} ({}{more})",
        counted(len(tags), "tag", "tags"),
        shown.join(", ")
    )
}

fn target(target: &TargetMatch) -> String {
    match &target.choice {
        Choice::Picked(None) => target.target.to_string(),
        Choice::Picked(Some((_, among))) => format!("{} (picked of {among})", target.target),
        Choice::Lost { to, .. } => format!("({}: {} ranks higher)", target.target, origin(to)),
        Choice::Undecided => format!("({}: not clear which source is meant)", target.target),
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Tag(tag) => tag.to_string(),
        Origin::Digest(digest) => format!("sha256:{}", digest.short()),
    }
}

fn push_left_out(out: &mut String, left_out: &[LeftOut], view: &MatchView) {
    if left_out.is_empty() {
        return;
    }
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for LeftOut { tag, refusals } in left_out {
        by_reason
            .entry(reasons(refusals).join("; "))
            .or_default()
            .push(tag.as_str());
    }
    let mut by_reason: Vec<(String, Vec<&str>)> = by_reason.into_iter().collect();
    by_reason.sort_by_key(|(_, tags)| std::cmp::Reverse(tags.len()));
    let (reasons_max, examples_max) = if view.is_full {
        (usize::MAX, usize::MAX)
    } else {
        (REASONS_MAX, EXAMPLES_MAX)
    };
    push(
        out,
        format_args!("  left out: {}\n", counted(len(left_out), "tag", "tags")),
    );
    for (reason, tags) in by_reason.iter().take(reasons_max) {
        let named = examples(tags, examples_max);
        push(out, format_args!("    {}: {named}\n", escape(reason)));
    }
    push_more(
        out,
        "    ",
        by_reason.len().saturating_sub(reasons_max),
        "reason",
        "reasons",
    );
}

fn reasons(refusals: &[crate::plan::Refusal]) -> Vec<String> {
    let mut reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    reasons.dedup();
    reasons
}

fn push_more(out: &mut String, indent: &str, more: usize, one: &str, many: &str) {
    if more > 0 {
        let more = counted(more as u64, one, many);
        push(out, format_args!("{indent}… and {more} more; --full lists all\n"));
    }
}

/// The matches of a plan.
#[derive(Serialize)]
struct MatchesRecord {
    format_version: &'static str,
    matches: Vec<MatchRecord>,
}

#[derive(Serialize)]
struct MatchRecord {
    registry: String,
    repository: String,
    rule: String,
    sources: Vec<SourceRecord>,
    left_out: Vec<LeftOutRecord>,
    missing: Vec<String>,
    diagnostics: Vec<DiagnosticRecord>,
}

#[derive(Serialize)]
struct SourceRecord {
    source: String,
    digest: String,
    targets: Vec<TargetRecord>,
}

#[derive(Serialize)]
struct TargetRecord {
    tag: String,
    picked: bool,
    /// The source that counts instead.
    picked_instead: Option<String>,
    order: Option<&'static str>,
}

#[derive(Serialize)]
struct LeftOutRecord {
    tag: String,
    reasons: Vec<String>,
}

/// Writes matches as one JSON object; nothing is left out.
pub fn matches_json(matches: &[RuleMatch], sources: &Sources) -> String {
    let record = MatchesRecord {
        format_version: FORMAT_VERSION,
        matches: matches.iter().map(|found| match_record(found, sources)).collect(),
    };
    // All members are text, numbers and names.
    let json = serde_json::to_string_pretty(&record).unwrap_or_default();
    format!("{}\n", escape_json(&json))
}

fn match_record(found: &RuleMatch, sources: &Sources) -> MatchRecord {
    MatchRecord {
        registry: found.registry.to_string(),
        repository: found.repository.to_string(),
        rule: found.rule.clone(),
        sources: found
            .sources
            .iter()
            .map(|source| SourceRecord {
                source: whole_origin(&source.source),
                digest: source.digest.to_string(),
                targets: source.targets.iter().map(target_record).collect(),
            })
            .collect(),
        left_out: found
            .left_out
            .iter()
            .map(|left_out| LeftOutRecord {
                tag: left_out.tag.to_string(),
                reasons: reasons(&left_out.refusals),
            })
            .collect(),
        missing: found.missing.clone(),
        diagnostics: found
            .problems
            .iter()
            .map(|problem| DiagnosticRecord::new(problem, sources))
            .collect(),
    }
}

fn target_record(target: &TargetMatch) -> TargetRecord {
    let (picked_instead, order) = match &target.choice {
        Choice::Picked(among) => (None, among.map(|(order, _)| order)),
        Choice::Lost { to, order } => (Some(whole_origin(to)), *order),
        Choice::Undecided => (None, None),
    };
    TargetRecord {
        tag: target.target.to_string(),
        picked: matches!(target.choice, Choice::Picked(_)),
        picked_instead,
        order: order.map(crate::plan::rank::Order::as_str),
    }
}

fn whole_origin(origin: &Origin) -> String {
    match origin {
        Origin::Tag(tag) => tag.to_string(),
        Origin::Digest(digest) => digest.to_string(),
    }
}
