//! Leaves out what was not approved, and what needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Change, Changeset, SkipReason, Skipped};
use crate::model::{Address, Tag};

/// Which kinds of changes are approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// New tags only.
    Creates,
    /// New tags and moves.
    Moves,
    /// Everything.
    All,
}

impl Approval {
    fn covers(self, action: Action) -> bool {
        match action {
            Action::Create { .. } => true,
            Action::Move { .. } => self != Self::Creates,
            Action::Remove { .. } => self == Self::All,
        }
    }
}

impl Changeset {
    /// Leaves out every change that is not approved, every change that requires one of these, and every backup of a
    /// move that is not made.
    pub fn approve(&mut self, approval: Approval) {
        self.leave_out(|change| (!approval.covers(change.action)).then_some(SkipReason::NotApproved));
    }

    fn leave_out(&mut self, reason: impl Fn(&Change) -> Option<SkipReason>) {
        let mut out: BTreeMap<Address, SkipReason> = BTreeMap::new();
        for change in &self.changes {
            out.extend(reason(change).map(|why| (change.address.clone(), why)));
        }
        let planned: BTreeSet<Address> = self.changes.iter().map(|change| change.address.clone()).collect();
        loop {
            let mut more = Vec::new();
            for change in self
                .changes
                .iter()
                .filter(|change| !out.contains_key(&change.address))
            {
                let neighbour = |tag: &Tag| Address {
                    tag: tag.clone(),
                    ..change.address.clone()
                };
                let unmet = change
                    .requires
                    .iter()
                    .find(|tag| out.contains_key(&neighbour(tag)));
                let is_needless = !change.backup_of.is_empty()
                    && change
                        .backup_of
                        .iter()
                        .map(neighbour)
                        .all(|moved| out.contains_key(&moved) || !planned.contains(&moved));
                if let Some(tag) = unmet {
                    more.push((change.address.clone(), SkipReason::Requires(tag.clone())));
                } else if is_needless && let Some(moved) = change.backup_of.first() {
                    more.push((change.address.clone(), SkipReason::BackupOf(moved.clone())));
                }
            }
            if more.is_empty() {
                break;
            }
            out.extend(more);
        }
        let (left_out, kept) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition::<Vec<_>, _>(|change| out.contains_key(&change.address));
        self.changes = kept;
        self.skipped.extend(left_out.into_iter().filter_map(|change| {
            let why = out.remove(&change.address)?;
            Some(Skipped {
                address: change.address,
                rules: change.rules,
                why,
            })
        }));
        self.skipped.sort_by(|a, b| a.address.cmp(&b.address));
    }
}
