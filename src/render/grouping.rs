//! Makes a long list of changes short: what happens in many repositories alike is one entry.

use std::collections::{BTreeMap, BTreeSet};

use crate::changeset::{Action, Change};
use crate::model::{Address, Digest, RepositoryName, Tag};

/// What is done to a tag; in the order in which totals are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Create,
    Move,
    Remove,
}

impl Kind {
    pub(super) fn of(action: Action) -> Self {
        match action {
            Action::Create { .. } => Self::Create,
            Action::Move { .. } => Self::Move,
            Action::Remove { .. } => Self::Remove,
        }
    }

    /// The sign in front of a change.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Move => '~',
            Self::Remove => '-',
        }
    }

    /// The words that programs look for behind an address.
    pub(super) fn will_be(self) -> &'static str {
        match self {
            Self::Create => "will be created",
            Self::Move => "will be updated in-place",
            Self::Remove => "will be destroyed",
        }
    }
}

/// One entry of a list: changes that are alike; often only one.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// One of them, the first by address.
    pub first: &'a Change,
    /// All of them, sorted by address.
    pub changes: Vec<&'a Change>,
}

impl<'a> Entry<'a> {
    const LINES_OF_SINGLE: usize = 2;

    fn single(change: &'a Change) -> Self {
        Self {
            first: change,
            changes: vec![change],
        }
    }

    pub(super) fn is_single(&self) -> bool {
        self.changes.len() == 1
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.first.action)
    }

    /// The tag, if all are about the same one.
    pub(super) fn tag(&self) -> Option<&'a Tag> {
        self.common(|change| &change.address.tag)
    }

    /// The image they all are on afterwards, if it is one.
    pub(super) fn after(&self) -> Option<Digest> {
        self.common(|change| change.action.after()).flatten()
    }

    /// Why, if it is the same for all: the reason of the changes, or the rules that ask for them.
    pub(super) fn reason(&self) -> Option<String> {
        self.common(|change| change.reason.to_string()).or_else(|| {
            match self.common(|change| &change.rules)?.as_slice() {
                [] => None,
                [rule] => Some(format!("rule `{rule}`")),
                rules => Some(format!("rules `{}`", rules.join("`, `"))),
            }
        })
    }

    /// The stage, if it is the same for all.
    pub(super) fn stage(&self) -> Option<u32> {
        self.common(|change| change.stage)
    }

    /// How many repositories they are in.
    pub(super) fn repository_count(&self) -> u64 {
        let repositories: BTreeSet<&RepositoryName> = self
            .changes
            .iter()
            .map(|change| &change.address.repository)
            .collect();
        u64::try_from(repositories.len()).unwrap_or(u64::MAX)
    }

    fn common<T: PartialEq>(&self, of: impl Fn(&'a Change) -> T) -> Option<T> {
        let first = of(self.first);
        self.changes
            .iter()
            .all(|change| of(change) == first)
            .then_some(first)
    }

    /// The lines it takes: a single change has one above it that names its address.
    fn lines(&self) -> usize {
        if self.is_single() {
            Self::LINES_OF_SINGLE
        } else {
            1
        }
    }
}

/// Lists changes of one registry in the order in which they are read: by repository, removals last.
///
/// If that takes more than `lines_max` lines, changes that are alike become one entry: first those with the same tag
/// and reason, in all repositories; of what is left those of the same rules; and last those of the same kind.
pub(super) fn list<'a>(changes: &[&'a Change], lines_max: Option<usize>) -> Vec<Entry<'a>> {
    let Some(lines_max) = lines_max.filter(|max| changes.len() * Entry::LINES_OF_SINGLE > *max) else {
        return sorted(changes).into_iter().map(Entry::single).collect();
    };
    let alike = group(changes, |change| Key {
        tag: Some(&change.address.tag),
        reason: change.reason.to_string(),
        ..Key::of(change)
    });
    if lines(&alike) <= lines_max {
        return alike;
    }
    keep_the_largest(alike, lines_max)
}

/// Which changes are alike; ordered as they are listed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    is_removal: bool,
    stage: u32,
    kind: Kind,
    rules: &'a [String],
    tag: Option<&'a Tag>,
    reason: String,
}

impl<'a> Key<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            is_removal: change.action.is_removal(),
            stage: change.stage,
            kind: Kind::of(change.action),
            rules: &[],
            tag: None,
            reason: String::new(),
        }
    }
}

fn group<'a>(changes: &[&'a Change], key: impl Fn(&'a Change) -> Key<'a>) -> Vec<Entry<'a>> {
    let mut groups: BTreeMap<Key<'_>, Entry<'_>> = BTreeMap::new();
    for change in sorted(changes) {
        groups
            .entry(key(change))
            .and_modify(|entry| entry.changes.push(change))
            .or_insert_with(|| Entry::single(change));
    }
    groups.into_values().collect()
}

/// Half of the lines go to the largest groups; what is left is told by its rules, or by what is done.
fn keep_the_largest(alike: Vec<Entry<'_>>, lines_max: usize) -> Vec<Entry<'_>> {
    let mut by_size: Vec<(usize, usize)> = alike
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.is_single())
        .map(|(index, entry)| (entry.changes.len(), index))
        .collect();
    by_size.sort_by_key(|(size, index)| (std::cmp::Reverse(*size), *index));
    let kept: BTreeSet<usize> = by_size
        .into_iter()
        .take(lines_max / 2)
        .map(|(_, index)| index)
        .collect();
    let mut shown = Vec::new();
    let mut rest = Vec::new();
    for (index, entry) in alike.into_iter().enumerate() {
        if kept.contains(&index) {
            shown.push(entry);
        } else {
            rest.extend(entry.changes);
        }
    }
    let mut by_rule = group(&rest, |change| Key {
        rules: &change.rules,
        ..Key::of(change)
    });
    if lines(&by_rule) > lines_max / 2 {
        by_rule = group(&rest, |change| Key {
            stage: 0,
            ..Key::of(change)
        });
    }
    shown.extend(by_rule);
    shown.sort_by_key(|entry| entry.kind() == Kind::Remove);
    shown
}

fn lines(entries: &[Entry<'_>]) -> usize {
    entries.iter().map(Entry::lines).sum()
}

fn sorted<'a>(changes: &[&'a Change]) -> Vec<&'a Change> {
    let mut sorted = changes.to_vec();
    sorted.sort_by_key(|change| {
        let Address { repository, tag, .. } = &change.address;
        (repository, change.action.is_removal(), tag)
    });
    sorted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture;
    use super::*;
    use crate::changeset::Reason;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_change_is_in_one_entry_and_the_list_keeps_its_length(
            repositories in 0..60_usize,
            lines_max in prop::option::of(6..80_usize),
            rules in 1..200_usize,
        ) {
            let mut changeset = fixture::large(repositories);
            for (index, change) in changeset.changes.iter_mut().enumerate() {
                change.rules = vec![format!("rule {}", index % rules)];
                if index % 7 == 0 {
                    change.reason = Reason::Saved(format!("reason {index}"));
                    change.stage = 1;
                }
            }
            let changes: Vec<&Change> = changeset.changes.iter().collect();
            let entries = list(&changes, lines_max);
            let mut listed: Vec<&Address> =
                entries.iter().flat_map(|entry| entry.changes.iter().map(|change| &change.address)).collect();
            listed.sort();
            prop_assert_eq!(listed, changes.iter().map(|change| &change.address).collect::<Vec<_>>());
            let kinds_alike = |entry: &Entry<'_>| {
                entry.changes.iter().all(|change| Kind::of(change.action) == entry.kind())
            };
            prop_assert!(entries.iter().all(kinds_alike));
            if let Some(lines_max) = lines_max {
                prop_assert!(lines(&entries) <= lines_max.max(6), "{} lines of {lines_max}", lines(&entries));
            }
        }
    }
}
