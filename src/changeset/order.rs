//! Which write comes first, so that no reader sees an image lose its last tag on the way.
//!
//! Within a stage a digest gets its new tags before its old ones move off, where an order exists that allows it. A
//! swap of two images that have no other tag is the case where none exists.
//!
//! Every tag moves at most once. So only an image is at risk that loses every tag it has and gets a new one: it must
//! be *fed* before the last of its old tags leaves. All other writes are free.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Change};
use crate::model::{Digest, Tag};

/// What a write waits for, in one stage of one repository.
struct Write<'a> {
    tag: &'a Tag,
    from: Option<Digest>,
    to: Digest,
    requires: &'a [Tag],
}

/// An image that loses every tag it has and gets a new one.
#[derive(Debug, Clone, Copy)]
struct Endangered {
    /// How many of its tags have not left yet.
    leaving: usize,
    /// Whether it has got its new tag.
    is_fed: bool,
}

/// Gives every change its wave, stage by stage.
///
/// `tags` are the tags of the repository as they are before the first stage. Removals come after all writes of
/// their stage.
pub(super) fn assign_waves(changes: &mut [Change], tags: &BTreeMap<Tag, Digest>) {
    let mut tags = Cow::Borrowed(tags);
    let stages: BTreeSet<u32> = changes.iter().map(|change| change.stage).collect();
    for &stage in &stages {
        let is_last = stages.last() == Some(&stage);
        let waves = stage_waves(changes.iter().filter(|change| change.stage == stage), &tags);
        let last = waves.values().copied().max().map_or(0, |wave| wave + 1);
        for change in changes.iter_mut().filter(|change| change.stage == stage) {
            change.wave = waves.get(&change.address.tag).copied().unwrap_or(last);
            if is_last {
                continue;
            }
            let tags = tags.to_mut();
            match change.action.after() {
                Some(after) => tags.insert(change.address.tag.clone(), after),
                None => tags.remove(&change.address.tag),
            };
        }
    }
}

fn stage_waves<'a>(
    changes: impl Iterator<Item = &'a Change>,
    tags: &BTreeMap<Tag, Digest>,
) -> BTreeMap<Tag, u32> {
    let mut pending: BTreeMap<&Tag, Write<'_>> = BTreeMap::new();
    for change in changes {
        let tag = &change.address.tag;
        match change.action {
            Action::Create { after } => {
                pending.insert(
                    tag,
                    Write {
                        tag,
                        from: None,
                        to: after,
                        requires: &change.requires,
                    },
                );
            }
            Action::Move { before, after } => {
                let write = Write {
                    tag,
                    from: Some(before),
                    to: after,
                    requires: &change.requires,
                };
                pending.insert(tag, write);
            }
            // Removals wait for every write of the stage.
            Action::Remove { .. } => {}
        }
    }
    let mut endangered = find_endangered(&pending, tags);
    let mut waves = BTreeMap::new();
    let mut wave = 0;
    while !pending.is_empty() {
        let mut turn = free_writes(&pending, &endangered);
        if turn.is_empty() {
            turn.extend(least_harm(&pending, &endangered));
        }
        for tag in turn {
            let Some(write) = pending.remove(&tag) else {
                continue;
            };
            carry_out(&write, &mut endangered);
            waves.insert(tag, wave);
        }
        wave += 1;
    }
    waves
}

fn find_endangered(
    pending: &BTreeMap<&Tag, Write<'_>>,
    tags: &BTreeMap<Tag, Digest>,
) -> BTreeMap<Digest, Endangered> {
    let fed: BTreeSet<Digest> = pending.values().map(|write| write.to).collect();
    let mut endangered: BTreeMap<Digest, Endangered> = BTreeMap::new();
    for digest in pending
        .values()
        .filter_map(|write| write.from)
        .filter(|from| fed.contains(from))
    {
        endangered
            .entry(digest)
            .or_insert(Endangered {
                leaving: 0,
                is_fed: false,
            })
            .leaving += 1;
    }
    if endangered.is_empty() {
        return endangered;
    }
    for (tag, digest) in tags {
        // Another tag stays, at least for this stage's writes: removals come after them.
        if !pending.contains_key(tag) {
            endangered.remove(digest);
        }
    }
    endangered
}

/// Whether this write can go now without taking the last tag of an image that still waits for its new one.
fn is_harmless(write: &Write<'_>, endangered: &BTreeMap<Digest, Endangered>) -> bool {
    write
        .from
        .and_then(|from| endangered.get(&from))
        .is_none_or(|image| image.is_fed || image.leaving > 1)
}

fn has_what_it_requires(write: &Write<'_>, pending: &BTreeMap<&Tag, Write<'_>>) -> bool {
    !write.requires.iter().any(|tag| pending.contains_key(tag))
}

fn carry_out(write: &Write<'_>, endangered: &mut BTreeMap<Digest, Endangered>) {
    if let Some(image) = write.from.and_then(|from| endangered.get_mut(&from)) {
        image.leaving -= 1;
    }
    if let Some(image) = endangered.get_mut(&write.to) {
        image.is_fed = true;
    }
}

/// The writes that can all go at once: none waits for another, none takes an endangered image's last tag.
fn free_writes(pending: &BTreeMap<&Tag, Write<'_>>, endangered: &BTreeMap<Digest, Endangered>) -> Vec<Tag> {
    let ready = pending
        .values()
        .filter(|write| has_what_it_requires(write, pending));
    let is_at_risk = |write: &&Write<'_>| {
        write
            .from
            .and_then(|from| endangered.get(&from))
            .is_some_and(|image| !image.is_fed)
    };
    let (at_risk, free): (Vec<_>, Vec<_>) = ready.partition(is_at_risk);
    if !free.is_empty() {
        return free.into_iter().map(|write| write.tag.clone()).collect();
    }
    // Only images that wait for their new tag have writes left. One of them may spare a tag, as long as another
    // stays: best one that sets off a chain which comes back and feeds it.
    let spare: Vec<_> = at_risk
        .into_iter()
        .filter(|write| is_harmless(write, endangered))
        .collect();
    let best = spare
        .iter()
        .find(|write| feeds_its_own_image(write, pending, endangered));
    best.or(spare.first())
        .map(|write| vec![write.tag.clone()])
        .unwrap_or_default()
}

/// Whether carrying out this write frees others, and they others, until its own image has a new tag.
fn feeds_its_own_image(
    first: &Write<'_>,
    pending: &BTreeMap<&Tag, Write<'_>>,
    endangered: &BTreeMap<Digest, Endangered>,
) -> bool {
    let Some(own) = first.from else { return false };
    let mut endangered = endangered.clone();
    let mut left: BTreeMap<&Tag, &Write<'_>> = pending.iter().map(|(tag, write)| (*tag, write)).collect();
    let mut next = Some(first);
    while let Some(write) = next {
        carry_out(write, &mut endangered);
        left.remove(write.tag);
        if endangered.get(&own).is_some_and(|image| image.is_fed) {
            return true;
        }
        next = left.values().copied().find(|write| {
            let is_fed = |from| {
                endangered
                    .get(&from)
                    .is_none_or(|image: &Endangered| image.is_fed)
            };
            write.from.is_none_or(is_fed) && !write.requires.iter().any(|tag| left.contains_key(tag))
        });
    }
    false
}

/// No order spares every image: the write to begin with.
fn least_harm(pending: &BTreeMap<&Tag, Write<'_>>, endangered: &BTreeMap<Digest, Endangered>) -> Option<Tag> {
    let ready = || {
        pending
            .values()
            .filter(|write| has_what_it_requires(write, pending))
    };
    ready()
        .find(|write| feeds_its_own_image(write, pending, endangered))
        .or_else(|| ready().next())
        .or_else(|| pending.values().next())
        .map(|write| write.tag.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::changeset::Reason;
    use crate::model::Address;

    fn change(tag: &str, before: Option<u8>, after: u8, requires: &[&str]) -> Change {
        let digest = |image: u8| Digest::of(&[image]);
        let action = match before {
            None => Action::Create { after: digest(after) },
            Some(before) => Action::Move {
                before: digest(before),
                after: digest(after),
            },
        };
        Change {
            address: Address {
                registry: crate::model::RegistryKey::default(),
                repository: "shop/api".parse().unwrap(),
                tag: tag.parse().unwrap(),
            },
            action,
            stage: 0,
            wave: 0,
            rules: Vec::new(),
            source: None,
            requires: requires.iter().map(|tag| tag.parse().unwrap()).collect(),
            backup_of: Vec::new(),
            reason: Reason::Rollback,
            is_reversible: true,
        }
    }

    /// Images that are at some point without a tag although they have one before and afterwards, if the writes come
    /// in these groups and the writes of a group in any order.
    fn bared(groups: &[Vec<&Change>], tags: &BTreeMap<Tag, Digest>) -> BTreeSet<Digest> {
        let images = |tags: &BTreeMap<Tag, Digest>| tags.values().copied().collect::<BTreeSet<Digest>>();
        let mut tags = tags.clone();
        let before = images(&tags);
        let mut bared = BTreeSet::new();
        for group in groups {
            // At worst every tag of the group leaves before any arrives.
            let mut left = tags.clone();
            for change in group {
                left.remove(&change.address.tag);
            }
            bared.extend(images(&tags).difference(&images(&left)).copied());
            for change in group {
                tags.insert(change.address.tag.clone(), change.action.after().unwrap());
            }
        }
        let after = images(&tags);
        bared
            .into_iter()
            .filter(|digest| before.contains(digest) && after.contains(digest))
            .collect()
    }

    fn in_waves(changes: &[Change]) -> Vec<Vec<&Change>> {
        let mut waves: BTreeMap<u32, Vec<&Change>> = BTreeMap::new();
        for change in changes {
            waves.entry(change.wave).or_default().push(change);
        }
        waves.into_values().collect()
    }

    fn an_order_spares_all(changes: &[Change], tags: &BTreeMap<Tag, Digest>) -> bool {
        fn search<'a>(
            done: &mut Vec<Vec<&'a Change>>,
            left: &[&'a Change],
            tags: &BTreeMap<Tag, Digest>,
        ) -> bool {
            if left.is_empty() {
                return bared(done, tags).is_empty();
            }
            (0..left.len()).any(|at| {
                let mut rest = left.to_vec();
                let next = rest.remove(at);
                if next
                    .requires
                    .iter()
                    .any(|tag| rest.iter().any(|change| change.address.tag == *tag))
                {
                    return false;
                }
                done.push(vec![next]);
                let spares = search(done, &rest, tags);
                done.pop();
                spares
            })
        }
        search(&mut Vec::new(), &changes.iter().collect::<Vec<_>>(), tags)
    }

    fn tags_before(changes: &[Change], others: &[(String, u8)]) -> BTreeMap<Tag, Digest> {
        let moved = changes
            .iter()
            .filter_map(|c| Some((c.address.tag.clone(), c.action.before()?)));
        let others = others
            .iter()
            .map(|(tag, image)| (tag.parse().unwrap(), Digest::of(&[*image])));
        moved.chain(others).collect()
    }

    #[test]
    fn a_backup_comes_before_its_move() {
        let mut changes = vec![
            change("previous", Some(0), 1, &[]),
            change("stable", Some(1), 2, &["previous"]),
        ];
        let tags = tags_before(&changes, &[("1.7.2".to_owned(), 0), ("rc".to_owned(), 2)]);
        assign_waves(&mut changes, &tags);
        assert_eq!(
            changes.iter().map(|change| change.wave).collect::<Vec<_>>(),
            [0, 1]
        );
    }

    #[test]
    fn a_swap_begins_where_another_tag_stays() {
        let mut changes = vec![change("blue", Some(1), 2, &[]), change("green", Some(2), 1, &[])];
        let tags = tags_before(&changes, &[("1.7".to_owned(), 2)]);
        assign_waves(&mut changes, &tags);
        assert_eq!(
            changes.iter().map(|change| change.wave).collect::<Vec<_>>(),
            [1, 0]
        );
    }

    #[test]
    fn unrelated_changes_go_at_once() {
        let mut changes: Vec<Change> = (0..100)
            .map(|n| change(&format!("t{n}"), Some(n), n + 100, &[]))
            .collect();
        let tags = tags_before(&changes, &[]);
        assign_waves(&mut changes, &tags);
        assert!(changes.iter().all(|change| change.wave == 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_image_is_spared_if_an_order_exists(
            moves in proptest::collection::vec((proptest::option::weighted(0.9, 0u8..4), 0u8..4), 1..6),
            staying in proptest::collection::vec(0u8..4, 0..2),
        ) {
            let mut changes: Vec<Change> = moves
                .iter()
                .enumerate()
                .filter(|(_, (before, after))| *before != Some(*after))
                .map(|(n, (before, after))| change(&format!("t{n}"), *before, *after, &[]))
                .collect();
            let staying: Vec<(String, u8)> =
                staying.iter().enumerate().map(|(n, image)| (format!("s{n}"), *image)).collect();
            let tags = tags_before(&changes, &staying);
            assign_waves(&mut changes, &tags);
            if an_order_spares_all(&changes, &tags) {
                prop_assert_eq!(bared(&in_waves(&changes), &tags), BTreeSet::new());
            }
        }
    }
}
