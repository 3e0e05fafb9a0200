//! Why a tag is changed or not, in sentences and as JSON.

use serde::Serialize;

use super::text::{self, Look, escape_json, push};
use crate::changeset::file::{ActionName, DiagnosticRecord, FORMAT_VERSION};
use crate::changeset::{Action, Choice, Explanation, Fate, Origin, RuleStory};
use crate::diagnostic::Sources;
use crate::model::{Address, Digest};

/// Sources that are listed of one rule; the picked ones come first.
const SOURCES_MAX: usize = 10;

/// Writes an explanation; what there is to say about the repository goes elsewhere.
pub fn explanation_text(explanation: &Explanation, address: &str, look: Look) -> String {
    let mut out = String::new();
    let now = explanation.now.map_or_else(
        || "does not exist".to_owned(),
        |digest| format!("is on sha256:{}", digest.short()),
    );
    let fate = fate(explanation);
    push(
        &mut out,
        format_args!("{} {now}, {fate}.\n", look.paint(text::STRONG, address)),
    );
    if let Fate::Changed(change) = &explanation.fate {
        for required in &change.requires {
            let neighbour = Address {
                tag: required.clone(),
                ..change.address.clone()
            };
            let before = change
                .action
                .before()
                .map(|digest| digest.short())
                .unwrap_or_default();
            let neighbour = neighbour.to_text(false);
            push(
                &mut out,
                format_args!("  first, {neighbour} must be on sha256:{before}\n"),
            );
        }
        if change.stage > 0 {
            push(&mut out, format_args!("  in stage {}\n", change.stage));
        }
        if !change.is_reversible {
            out.push_str("  a rollback may not be able to take this back\n");
        }
    }
    for story in &explanation.rules {
        push_story(&mut out, story, explanation, look);
    }
    out
}

fn fate(explanation: &Explanation) -> String {
    match &explanation.fate {
        Fate::Changed(change) => {
            let what = match change.action {
                Action::Create { after } => format!("and is created on sha256:{}", after.short()),
                Action::Move { after, .. } => format!("and moves to sha256:{}", after.short()),
                Action::Remove { .. } => "and is removed".to_owned(),
            };
            format!("{what}: {}", change.reason)
        }
        Fate::Unchanged => "which is what the plan wants".to_owned(),
        Fate::Skipped(why) => format!("and is left so: {why}"),
        Fate::Refused => "and is not changed, because of errors".to_owned(),
        Fate::NotTouched => "and no rule makes it anything else".to_owned(),
    }
}

fn push_story(out: &mut String, story: &RuleStory, explanation: &Explanation, look: Look) {
    let name = look.paint(text::STRONG, format!("rule `{}`", text::escape(&story.rule)));
    if !story.applies {
        push(out, format_args!("\n{name} does not apply to this repository\n"));
        return;
    }
    push(out, format_args!("\n{name} applies to this repository\n"));
    let tag = &explanation.tag;
    let mut wanted: Vec<_> = story.wanted_from.iter().collect();
    wanted.sort_by_key(|(_, _, choice)| !matches!(choice, Choice::Picked(_)));
    for (source, digest, choice) in wanted.iter().take(SOURCES_MAX) {
        let source = origin(source);
        push(
            out,
            format_args!(
                "  {source} (sha256:{}) becomes {tag}{}\n",
                digest.short(),
                counts(choice)
            ),
        );
    }
    let more = wanted.len().saturating_sub(SOURCES_MAX);
    if more > 0 {
        push(
            out,
            format_args!("  … and {more} more become {tag}; `ecr-retag match --full` lists all\n"),
        );
    }
    if story.wanted_from.is_empty() {
        push(out, format_args!("  nothing that it takes becomes {tag}\n"));
    }
    for target in &story.backup_of {
        push(
            out,
            format_args!("  {tag} keeps the image that {target} leaves, when {target} moves\n"),
        );
    }
    for (target, choice) in &story.becomes {
        push(out, format_args!("  {tag} becomes {target}{}\n", counts(choice)));
    }
    if story.renames && !story.becomes.is_empty() {
        push(
            out,
            format_args!("  {tag} goes away once that is proved (`remove_source`)\n"),
        );
    }
    let refusals: Vec<String> = story
        .refusals
        .iter()
        .map(|refusal| text::escape(&refusal.to_string()).into_owned())
        .collect();
    if !refusals.is_empty() {
        push(
            out,
            format_args!("  {tag} is no source: {}\n", refusals.join("; ")),
        );
    }
}

fn counts(choice: &Choice) -> String {
    match choice {
        Choice::Picked(None) => String::new(),
        Choice::Picked(Some((order, among))) => format!(": picked of {among} by {}", order.as_str()),
        Choice::Lost { to, order } => {
            let by = order
                .map(|order| format!(" by {}", order.as_str()))
                .unwrap_or_default();
            format!(": not picked, {} ranks higher{by}", origin(to))
        }
        Choice::Undecided => ": not clear which source is meant".to_owned(),
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Tag(tag) => tag.to_string(),
        Origin::Digest(digest) => format!("sha256:{}", digest.short()),
    }
}

#[derive(Serialize)]
struct ExplanationRecord<'a> {
    format_version: &'static str,
    address: &'a str,
    digest: Option<String>,
    /// One of `create`, `update`, `delete`; `no-op` for a tag that is not changed.
    action: ActionName,
    after: Option<String>,
    /// Why it is changed or not.
    reason: String,
    requires: Vec<String>,
    rules: Vec<StoryRecord>,
    diagnostics: Vec<DiagnosticRecord>,
}

#[derive(Serialize)]
struct StoryRecord {
    name: String,
    applies: bool,
    sources: Vec<ChoiceRecord>,
    becomes: Vec<ChoiceRecord>,
    backup_of: Vec<String>,
    left_out: Vec<String>,
}

/// A source of the tag, or a target that it becomes.
#[derive(Serialize)]
struct ChoiceRecord {
    tag: String,
    digest: Option<String>,
    picked: bool,
    reason: String,
}

/// Writes an explanation as one JSON object.
pub fn explanation_json(explanation: &Explanation, address: &str, sources: &Sources) -> String {
    let (action, after, requires) = match &explanation.fate {
        Fate::Changed(change) => {
            let name = match change.action {
                Action::Create { .. } => ActionName::Create,
                Action::Move { .. } => ActionName::Update,
                Action::Remove { .. } => ActionName::Delete,
            };
            let requires = change.requires.iter().map(ToString::to_string).collect();
            (name, change.action.after(), requires)
        }
        _ => (ActionName::NoOp, explanation.now, Vec::new()),
    };
    let record = ExplanationRecord {
        format_version: FORMAT_VERSION,
        address,
        digest: explanation.now.map(|digest| digest.to_string()),
        action,
        after: after.map(|digest: Digest| digest.to_string()),
        reason: fate(explanation).trim_start_matches("and ").to_owned(),
        requires,
        rules: explanation.rules.iter().map(story_record).collect(),
        diagnostics: explanation
            .diagnostics
            .iter()
            .map(|diagnostic| DiagnosticRecord::new(diagnostic, sources))
            .collect(),
    };
    // All members are text and names.
    let json = serde_json::to_string_pretty(&record).unwrap_or_default();
    format!("{}\n", escape_json(&json))
}

fn story_record(story: &RuleStory) -> StoryRecord {
    let record = |tag: String, digest: Option<Digest>, choice: &Choice| ChoiceRecord {
        tag,
        digest: digest.map(|digest| digest.to_string()),
        picked: matches!(choice, Choice::Picked(_)),
        reason: counts(choice).trim_start_matches(": ").to_owned(),
    };
    StoryRecord {
        name: story.rule.clone(),
        applies: story.applies,
        sources: story
            .wanted_from
            .iter()
            .map(|(source, digest, choice)| record(origin(source), Some(*digest), choice))
            .collect(),
        becomes: story
            .becomes
            .iter()
            .map(|(target, choice)| record(target.to_string(), None, choice))
            .collect(),
        backup_of: story.backup_of.iter().map(ToString::to_string).collect(),
        left_out: story.refusals.iter().map(ToString::to_string).collect(),
    }
}
