//! Reads again what a changeset has touched, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;

use crate::changeset::{Changeset, Inventories};
use crate::event::Events;
use crate::inventory::Inventory;
use crate::model::{Digest, RegistryKey, RepositoryName, Tag};
use crate::plan::{Reads, RepositoryReads};
use crate::registry::{CallContext, Observation, Questions, Reader, Registry, RegistryError, observe};

/// Reads where the tags of a changeset are now, which of its images still exist, and their other tags.
///
/// A repository that is gone has no inventory. The first thing that cannot be read is the error.
pub async fn revisit(
    changeset: &Changeset,
    registries: &BTreeMap<RegistryKey, Registry>,
    context: &CallContext,
    events: &Events,
) -> Result<Inventories, RegistryError> {
    let context = context.clone().with_observer(Arc::new(events.clone()));
    let mut inventories = Inventories::new();
    for (key, registry) in registries {
        let touched = touched(changeset, key);
        let wanted = RepositoryReads {
            exact: touched.keys().cloned().collect(),
            has_globs: false,
        };
        let reads = |repository: &RepositoryName| {
            let (tags, digests) = touched.get(repository)?.clone();
            Some(Reads::Named { tags, digests })
        };
        let losing = |inventory: &Inventory| inventory.tags.values().copied().collect::<BTreeSet<Digest>>();
        let questions = Questions {
            reads: &reads,
            losing: &losing,
        };
        let reader = Reader::new(registry, &context);
        let mut observations = std::pin::pin!(observe(&reader, &wanted, questions));
        while let Some(observed) = observations.next().await {
            match observed {
                Observation::Inventory(inventory) => {
                    inventories.insert((key.clone(), inventory.repository.clone()), inventory);
                }
                Observation::Missing(_) => {}
                Observation::Failed(error) => return Err(error),
            }
        }
    }
    Ok(inventories)
}

type Touched = BTreeMap<RepositoryName, (BTreeSet<Tag>, BTreeSet<Digest>)>;

/// The tags that a changeset changes in a registry, and the images that they were on.
fn touched(changeset: &Changeset, key: &RegistryKey) -> Touched {
    let mut touched = Touched::new();
    for change in changeset
        .changes
        .iter()
        .filter(|change| change.address.registry == *key)
    {
        let (tags, digests) = touched.entry(change.address.repository.clone()).or_default();
        tags.insert(change.address.tag.clone());
        digests.extend(change.action.before());
    }
    touched
}
