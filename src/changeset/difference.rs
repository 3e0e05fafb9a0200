//! Where two changesets do different things.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Changeset};
use crate::model::Address;

/// A tag with which two changesets do different things; an action is absent where one leaves the tag alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The tag.
    pub address: Address,
    /// What the earlier changeset does with it.
    pub earlier: Option<Action>,
    /// What the later one does with it.
    pub later: Option<Action>,
}

/// The tags with which two changesets do different things, sorted by address.
pub fn differences(earlier: &Changeset, later: &Changeset) -> Vec<Difference> {
    let actions = |changeset: &Changeset| -> BTreeMap<Address, Action> {
        let changes = changeset.changes.iter();
        changes
            .map(|change| (change.address.clone(), change.action))
            .collect()
    };
    let (earlier, later) = (actions(earlier), actions(later));
    let addresses: BTreeSet<&Address> = earlier.keys().chain(later.keys()).collect();
    let compared = addresses.into_iter().map(|address| Difference {
        address: address.clone(),
        earlier: earlier.get(address).copied(),
        later: later.get(address).copied(),
    });
    compared
        .filter(|difference| difference.earlier != difference.later)
        .collect()
}
