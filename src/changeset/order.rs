//! Which write comes first, so that no reader sees an image lose its last tag on the way.
//!
//! Within a stage a digest gets its new tags before its old ones move off, where an order exists that allows it. A
//! swap of two images that have no other tag is the case where none exists.
//!
//! Every tag moves at most once. So only an image is at risk that loses every tag it has and gets a new one: it must
//! be *fed* before the last of its old tags leaves. All other writes are free.

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
    let mut tags = tags.clone();
    let stages: BTreeSet<u32> = changes.iter().map(|change| change.stage).collect();
    for stage in stages {
        let waves = stage_waves(changes.iter().filter(|change| change.stage == stage), &tags);
        let last = waves.values().copied().max().map_or(0, |wave| wave + 1);
        for change in changes.iter_mut().filter(|change| change.stage == stage) {
            change.wave = waves.get(&change.address.tag).copied().unwrap_or(last);
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
