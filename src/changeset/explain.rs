//! Why one tag is changed, kept, skipped, or not touched.

use super::matching::{Choice, RuleMatch, match_rule};
use super::plan::{Input, plan_repository};
use super::reason::Origin;
use super::{Change, SkipReason};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Digest, Tag};
use crate::plan::{Refusal, Rule};

/// What becomes of one tag, and what each rule has to do with it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The tag.
    pub tag: Tag,
    /// The image it is on.
    pub now: Option<Digest>,
    /// What becomes of it.
    pub fate: Fate,
    /// What each rule has to do with it, in the order of the plan file.
    pub rules: Vec<RuleStory>,
    /// What there is to say about the repository.
    pub diagnostics: Vec<Diagnostic>,
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is changed.
    Changed(Box<Change>),
    /// It is where a rule wants it.
    Unchanged,
    /// A rule wants it elsewhere, and it is not changed.
    Skipped(SkipReason),
    /// A rule wants it somewhere, and that is in error.
    Refused,
    /// No rule wants it anywhere.
    NotTouched,
}

/// What one rule has to do with one tag.
#[derive(Debug, Clone)]
pub struct RuleStory {
    /// The rule's name.
    pub rule: String,
    /// Whether it applies to the repository; if not, there is nothing more to say.
    pub applies: bool,
    /// The sources that render to the tag, and whether each counts.
    pub wanted_from: Vec<(Origin, Digest, Choice)>,
    /// What the tag becomes as a source.
    pub becomes: Vec<(Tag, Choice)>,
    /// Whether the rule takes the tag away once it has become something else.
    pub renames: bool,
    /// Why the tag is no source.
    pub refusals: Vec<Refusal>,
    /// The tags whose old image it keeps.
    pub backup_of: Vec<Tag>,
}

/// Explains what becomes of a tag of the repository that `input` is about.
pub fn explain(input: &Input<'_>, tag: &Tag) -> Explanation {
    let planned = plan_repository(input);
    let rules: Vec<RuleStory> = input
        .plan
        .rules
        .iter()
        .map(|rule| story(rule, input, tag))
        .collect();
    let is_wanted = rules
        .iter()
        .any(|story| !story.wanted_from.is_empty() || !story.backup_of.is_empty());
    let is_refused = planned
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity != Severity::Warning);
    let change = planned
        .changes
        .into_iter()
        .find(|change| change.address.tag == *tag);
    let skipped = planned
        .skipped
        .into_iter()
        .find(|skipped| skipped.address.tag == *tag);
    let fate = match (change, skipped) {
        (Some(change), _) => Fate::Changed(Box::new(change)),
        (None, Some(skipped)) => Fate::Skipped(skipped.why),
        (None, None)
            if planned
                .unchanged
                .iter()
                .any(|unchanged| unchanged.address.tag == *tag) =>
        {
            Fate::Unchanged
        }
        (None, None) if is_wanted && is_refused => Fate::Refused,
        (None, None) => Fate::NotTouched,
    };
    Explanation {
        tag: tag.clone(),
        now: input.inventory.tags.get(tag).copied(),
        fate,
        rules,
        diagnostics: planned.diagnostics,
    }
}

fn story(rule: &Rule, input: &Input<'_>, tag: &Tag) -> RuleStory {
    let applies = rule.applies_to(input.registry, &input.inventory.repository);
    let mut story = RuleStory {
        rule: rule.name.clone(),
        applies,
        wanted_from: Vec::new(),
        becomes: Vec::new(),
        renames: rule.remove_source,
        refusals: Vec::new(),
        backup_of: Vec::new(),
    };
    if !applies {
        return story;
    }
    let RuleMatch { sources, .. } = match_rule(rule, input.registry, input.inventory, input.now);
    for source in sources {
        let is_it = source.source == Origin::Tag(tag.clone());
        for target in source.targets {
            if target.target == *tag {
                let wanted = (source.source.clone(), source.digest, target.choice.clone());
                story.wanted_from.push(wanted);
            }
            if is_it {
                story.becomes.push((target.target, target.choice));
            }
        }
    }
    if let Some(digest) = input.inventory.tags.get(tag)
        && story.becomes.is_empty()
    {
        story.refusals = rule.refusals(tag, *digest, input.inventory, input.now);
    }
    let backups = rule.backup.iter().filter(|backup| backup.tag == *tag);
    story.backup_of = backups.map(|backup| backup.target.clone()).collect();
    story
}
