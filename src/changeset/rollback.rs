//! The way back: a changeset that undoes what a run did, as far as the registry is still where the run left it.

use std::collections::{BTreeMap, BTreeSet};

use super::guard;
use super::order;
use super::{Action, Change, Changeset, Reason, SkipReason, Skipped};
use crate::inventory::Inventory;
use crate::model::{Address, Digest, RegistryKey, RepositoryName, Tag};

/// Whether a run made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It did not.
    No,
    /// Its call was sent, and nobody knows what came of it.
    Perhaps,
    /// It did.
    Yes,
}

/// What the repositories of a run hold now.
pub type Inventories = BTreeMap<(RegistryKey, RepositoryName), Inventory>;

/// Plans the way back from a changeset, of whose changes these were made.
///
/// Stages run in reverse, and so do requirements: a backup goes once its tag is back. What cannot be taken back is
/// among the skipped changes, with the reason: a tag that has moved on since, an image that is gone, a tag that is
/// the last of its image.
pub fn rollback(changeset: &Changeset, made: &[Made], inventories: &Inventories) -> Changeset {
    let mut back = Changeset {
        name: changeset.name.clone(),
        registries: changeset.registries.clone(),
        ..Changeset::default()
    };
    let stage_max = changeset
        .changes
        .iter()
        .map(|change| change.stage)
        .max()
        .unwrap_or(0);
    let mut places: BTreeMap<(RegistryKey, RepositoryName), Vec<(&Change, Made)>> = BTreeMap::new();
    for (change, made) in changeset.changes.iter().zip(made) {
        let address = &change.address;
        let place = (address.registry.clone(), address.repository.clone());
        places.entry(place).or_default().push((change, *made));
    }
    for (place, changes) in places {
        let mut way_back = WayBack::new(inventories.get(&place), stage_max);
        for (change, made) in &changes {
            way_back.take_back(change, *made);
        }
        way_back.require_in_reverse(&changes);
        while way_back.keep_last_tags() || way_back.leave_out_what_lacks_its_requirements() {}
        way_back.postpone_removals();
        way_back.finish(&mut back);
    }
    back
}

/// The way back in one repository.
struct WayBack<'a> {
    inventory: Option<&'a Inventory>,
    tags: BTreeMap<Tag, Digest>,
    stage_max: u32,
    changes: BTreeMap<Tag, Change>,
    skipped: Vec<Skipped>,
    unchanged_count: u64,
}

impl<'a> WayBack<'a> {
    fn new(inventory: Option<&'a Inventory>, stage_max: u32) -> Self {
        Self {
            inventory,
            tags: inventory
                .map(|inventory| guard::known_tags(inventory).into_owned())
                .unwrap_or_default(),
            stage_max,
            changes: BTreeMap::new(),
            skipped: Vec::new(),
            unchanged_count: 0,
        }
    }

    fn take_back(&mut self, change: &Change, made: Made) {
        let (before, after) = (change.action.before(), change.action.after());
        let now = self.tags.get(&change.address.tag).copied();
        if made == Made::No || (made == Made::Perhaps && now != after) {
            return;
        }
        if now == before {
            self.unchanged_count += 1;
            return;
        }
        if now != after {
            let place = now.map_or_else(|| "gone".to_owned(), |now| format!("on sha256:{}", now.short()));
            return self.skip(
                &change.address,
                format!("somebody has moved it since, it is {place}"),
            );
        }
        let is_gone = |digest: Digest| !self.inventory.is_some_and(|inventory| inventory.holds(digest));
        if let Some(before) = before.filter(|before| is_gone(*before)) {
            let why = format!("the image it was on, sha256:{}, is gone", before.short());
            return self.skip(&change.address, why);
        }
        let action = match (after, before) {
            (Some(before), Some(after)) => Action::Move { before, after },
            (None, Some(after)) => Action::Create { after },
            (Some(before), None) => Action::Remove { before },
            (None, None) => return,
        };
        let is_immutable = self
            .inventory
            .is_some_and(|inventory| inventory.mutability.is_immutable(&change.address.tag));
        if is_immutable && matches!(action, Action::Move { .. }) {
            return self.skip(&change.address, "it is immutable by now".to_owned());
        }
        let back = Change {
            address: change.address.clone(),
            action,
            stage: self.stage_max.saturating_sub(change.stage),
            wave: 0,
            rules: change.rules.clone(),
            source: None,
            requires: Vec::new(),
            backup_of: Vec::new(),
            reason: Reason::Rollback,
            is_reversible: true,
        };
        self.changes.insert(change.address.tag.clone(), back);
    }

    /// What a change required goes back only once the change has: until then it is all that keeps the image's name.
    fn require_in_reverse(&mut self, changes: &[(&Change, Made)]) {
        for (change, _) in changes {
            for required in &change.requires {
                if let Some(back) = self.changes.get_mut(required) {
                    back.requires.push(change.address.tag.clone());
                }
            }
        }
    }

    /// A removal that would delete the image is left out; of several on one image, the first. Says whether any is.
    fn keep_last_tags(&mut self) -> bool {
        let mut after = self.tags.clone();
        for (tag, change) in &self.changes {
            match change.action.after() {
                Some(digest) => after.insert(tag.clone(), digest),
                None => after.remove(tag),
            };
        }
        let mut named: BTreeSet<Digest> = after.into_values().collect();
        let removals = self.changes.values().filter(|change| change.action.is_removal());
        let last: Vec<Address> = removals
            .filter(|change| change.action.before().is_some_and(|digest| named.insert(digest)))
            .map(|change| change.address.clone())
            .collect();
        for address in &last {
            self.changes.remove(&address.tag);
            self.skip(
                address,
                "it is the last tag of its image, which would be deleted".to_owned(),
            );
        }
        !last.is_empty()
    }

    /// A change that requires what will not be there is left out. Says whether any is.
    fn leave_out_what_lacks_its_requirements(&mut self) -> bool {
        let before = self.changes.len();
        while let Some((address, required)) = self.changes.values().find_map(|change| {
            let unmet = change
                .requires
                .iter()
                .find(|tag| !self.will_be_on(tag, change.action.before()))?;
            Some((change.address.clone(), unmet.clone()))
        }) {
            self.changes.remove(&address.tag);
            self.skipped.push(Skipped {
                address,
                rules: Vec::new(),
                why: SkipReason::Requires(required),
            });
        }
        self.changes.len() < before
    }

    /// A removal waits for the stage in which its image gets another tag back.
    fn postpone_removals(&mut self) {
        let mut tags_of: BTreeMap<Digest, usize> = BTreeMap::new();
        for digest in self.tags.values() {
            *tags_of.entry(*digest).or_default() += 1;
        }
        let mut stages: BTreeSet<u32> = self.changes.values().map(|change| change.stage).collect();
        while let Some(stage) = stages.pop_first() {
            for change in self.changes.values_mut().filter(|change| change.stage == stage) {
                let Some(after) = change.action.after() else {
                    continue;
                };
                *tags_of.entry(after).or_default() += 1;
                if let Some(count) = change.action.before().and_then(|before| tags_of.get_mut(&before)) {
                    *count -= 1;
                }
            }
            for change in self.changes.values_mut().filter(|change| change.stage == stage) {
                let before = change.action.before().filter(|_| change.action.is_removal());
                let Some(count) = before.and_then(|before| tags_of.get_mut(&before)) else {
                    continue;
                };
                if *count > 1 {
                    *count -= 1;
                } else {
                    // One tag at least is left to come: else the removal would have been left out.
                    change.stage = stages.first().copied().unwrap_or(stage);
                }
            }
        }
    }

    fn will_be_on(&self, tag: &Tag, digest: Option<Digest>) -> bool {
        match self.changes.get(tag) {
            Some(change) => change.action.after() == digest,
            None => self.tags.get(tag).copied() == digest,
        }
    }

    fn skip(&mut self, address: &Address, why: String) {
        self.skipped.push(Skipped {
            address: address.clone(),
            rules: Vec::new(),
            why: SkipReason::Saved(why),
        });
    }

    fn finish(self, back: &mut Changeset) {
        let mut changes: Vec<Change> = self.changes.into_values().collect();
        order::assign_waves(&mut changes, &self.tags);
        back.changes.extend(changes);
        back.skipped.extend(self.skipped);
        back.skipped.sort_by(|a, b| a.address.cmp(&b.address));
        back.unchanged_count += self.unchanged_count;
    }
}
