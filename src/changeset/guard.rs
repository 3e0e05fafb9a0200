//! What must not happen, whatever the rules say: an image without its last tag, too many tags, too many changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Planned, Planner};
use super::{Action, Counts};
use crate::diagnostic::{Code, Diagnostic};
use crate::inventory::Inventory;
use crate::model::{Digest, Tag};
use crate::plan::Limits;

/// The tags an image may carry: a quota of ECR that cannot be raised.
pub(super) const TAGS_PER_IMAGE_MAX: usize = 1_000;

/// More changes of one kind than the policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitPassed {
    /// The key of the policy, such as `max_moves`.
    pub key: &'static str,
    /// The flag that lifts it for one run, such as `--allow-moves`.
    pub flag: &'static str,
    /// How many changes are allowed.
    pub limit: u64,
    /// How many there are.
    pub count: u64,
}

/// The limits that these counts pass, in the order creates, moves, removes.
pub fn check_limits(limits: &Limits, counts: Counts) -> Vec<LimitPassed> {
    [
        ("max_creates", "--allow-creates", limits.creates, counts.creates),
        ("max_moves", "--allow-moves", limits.moves, counts.moves),
        ("max_removes", "--allow-removes", limits.removes, counts.removes),
    ]
    .into_iter()
    .filter_map(|(key, flag, limit, count)| {
        let limit = limit.filter(|limit| count > *limit)?;
        Some(LimitPassed {
            key,
            flag,
            limit,
            count,
        })
    })
    .collect()
}

/// Every tag that is known to exist, whether a rule asked for it or it was seen on an image that loses one.
pub(super) fn known_tags(inventory: &Inventory) -> Cow<'_, BTreeMap<Tag, Digest>> {
    let mut tags = Cow::Borrowed(&inventory.tags);
    for (digest, image) in &inventory.images {
        for tag in image.tags.iter().flatten() {
            if !tags.contains_key(tag) {
                tags.to_mut().insert(tag.clone(), *digest);
            }
        }
    }
    tags
}

/// Checks what becomes of every image that gains or loses a tag.
pub(super) fn check_images(planner: &mut Planner<'_>) {
    if planner.changes.is_empty() {
        return;
    }
    let mut before: BTreeMap<Digest, BTreeSet<Tag>> = BTreeMap::new();
    let touched: BTreeSet<Digest> = planner
        .changes
        .values()
        .flat_map(|planned| [planned.action.before(), planned.action.after()])
        .flatten()
        .collect();
    for (tag, digest) in &*known_tags(planner.input.inventory) {
        if touched.contains(digest) {
            before.entry(*digest).or_default().insert(tag.clone());
        }
    }
    let mut after = before.clone();
    for (tag, planned) in &planner.changes {
        if let Some(tags) = planned.action.before().and_then(|digest| after.get_mut(&digest)) {
            tags.remove(tag);
        }
        if let Some(digest) = planned.action.after() {
            after.entry(digest).or_default().insert(tag.clone());
        }
    }
    let left_bare: BTreeSet<Digest> = after
        .iter()
        .filter(|(_, tags)| tags.is_empty())
        .map(|(digest, _)| *digest)
        .collect();
    refuse_last_tags(planner, &left_bare);
    warn_of_untagged_images(planner, &left_bare);
    refuse_too_many_tags(planner, &before);
    warn_of_unpullable_tags(planner);
    for planned in planner.changes.values_mut() {
        let was_bare = |digest: Digest| before.get(&digest).is_none_or(BTreeSet::is_empty);
        planned.is_reversible = match planned.action {
            Action::Create { after } => !was_bare(after),
            Action::Move { before, .. } | Action::Remove { before } => !left_bare.contains(&before),
        };
    }
}

/// ECR deletes an image with its last tag, so that such a removal would lose the image.
fn refuse_last_tags(planner: &mut Planner<'_>, left_bare: &BTreeSet<Digest>) {
    let doomed: Vec<Tag> = planner
        .changes
        .iter()
        .filter(|(_, planned)| match planned.action {
            Action::Remove { before } => left_bare.contains(&before),
            _ => false,
        })
        .map(|(tag, _)| tag.clone())
        .collect();
    for tag in doomed {
        let Some(removal) = planner.changes.remove(&tag) else {
            continue;
        };
        let message = format!(
            "`{}:{tag}` is the last tag of its image, and removing it would delete the image",
            planner.input.inventory.repository
        );
        let diagnostic = Diagnostic::error(Code::LastTag, message)
            .help("keep the source, or give the image another tag in an earlier stage");
        planner.diagnostics.push(point(diagnostic, &removal));
    }
}

fn warn_of_untagged_images(planner: &mut Planner<'_>, left_bare: &BTreeSet<Digest>) {
    for digest in left_bare {
        let leaving = planner
            .changes
            .iter()
            .filter(|(_, planned)| match planned.action {
                Action::Move { before, .. } => before == *digest,
                _ => false,
            });
        let mut tags: Vec<&str> = Vec::new();
        let mut diagnostic = None;
        for (tag, planned) in leaving {
            tags.push(tag.as_str());
            let first = diagnostic.take().unwrap_or_else(|| {
                Diagnostic::warning(Code::LeftUntagged, String::new())
                    .help("use `backup` to leave a tag on it; a lifecycle rule may expire untagged images")
            });
            diagnostic = Some(point(first, planned));
        }
        if let Some(mut diagnostic) = diagnostic {
            diagnostic.message = format!(
                "the image {digest} of `{}` is left without a tag when `{}` moves",
                planner.input.inventory.repository,
                tags.join("`, `")
            );
            planner.diagnostics.push(diagnostic);
        }
    }
}

/// Counts the tags of each image at the highest point on the way: in a stage all new tags come before any leaves.
fn refuse_too_many_tags(planner: &mut Planner<'_>, before: &BTreeMap<Digest, BTreeSet<Tag>>) {
    let mut by_stage: BTreeMap<u32, Vec<Action>> = BTreeMap::new();
    for planned in planner.changes.values() {
        by_stage.entry(planned.stage).or_default().push(planned.action);
    }
    let mut counts: BTreeMap<Digest, usize> = before
        .iter()
        .map(|(digest, tags)| (*digest, tags.len()))
        .collect();
    let mut too_many: BTreeMap<Digest, usize> = BTreeMap::new();
    for actions in by_stage.values() {
        for digest in actions.iter().filter_map(|action| action.after()) {
            let count = counts.entry(digest).or_default();
            *count += 1;
            if *count > TAGS_PER_IMAGE_MAX {
                too_many.insert(digest, *count);
            }
        }
        for digest in actions.iter().filter_map(|action| action.before()) {
            let count = counts.entry(digest).or_default();
            *count = count.saturating_sub(1);
        }
    }
    for (digest, count) in too_many {
        let gaining: Vec<Tag> = planner
            .changes
            .iter()
            .filter(|(_, planned)| planned.action.after() == Some(digest))
            .map(|(tag, _)| tag.clone())
            .collect();
        let message = format!(
            "the image {digest} of `{}` would carry {count} tags, ECR allows {TAGS_PER_IMAGE_MAX}",
            planner.input.inventory.repository
        );
        let mut diagnostic = Diagnostic::error(Code::TooManyTags, message)
            .help("remove old tags in an earlier stage, or give the image fewer new ones");
        for tag in gaining {
            if let Some(planned) = planner.changes.remove(&tag)
                && diagnostic.labels.is_empty()
            {
                diagnostic = point(diagnostic, &planned);
            }
        }
        planner.diagnostics.push(diagnostic);
    }
}

fn warn_of_unpullable_tags(planner: &mut Planner<'_>) {
    let mut warnings = Vec::new();
    for (tag, planned) in &planner.changes {
        if planned.action.after().is_some() && !tag.is_pullable() {
            let message = format!(
                "`{}:{tag}` cannot be pulled by container clients",
                planner.input.inventory.repository
            );
            let diagnostic = Diagnostic::warning(Code::UnpullableTag, message)
                .help("use at most 128 characters, and begin with a letter, a digit or `_`");
            warnings.push(point(diagnostic, planned));
        }
    }
    planner.diagnostics.extend(warnings);
}

fn point(diagnostic: Diagnostic, planned: &Planned<'_>) -> Diagnostic {
    planned.requests.iter().fold(diagnostic, |diagnostic, request| {
        diagnostic.at(request.span, format!("rule `{}`", request.rule.name))
    })
}
