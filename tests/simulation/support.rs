//! What the parts of the simulation share.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecr_retag::model::{Digest, RepositoryName, Tag};
use ecr_retag::sandbox::{Caller, Clock, State, seed};
use jiff::Timestamp;

/// One tag of one repository.
pub(crate) type Place = (RepositoryName, Tag);

/// A clock that follows tokio's, which stands still but for waiting.
pub(crate) fn clock() -> Clock {
    let begun_at = tokio::time::Instant::now();
    let epoch: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
    Arc::new(move || epoch + begun_at.elapsed())
}

pub(crate) fn owner() -> Caller {
    seed::default_owner().unwrap()
}

/// Where every tag is.
pub(crate) fn tags_of(state: &State) -> BTreeMap<Place, Digest> {
    let repositories = state.repositories(&owner());
    repositories
        .flat_map(|(name, repository)| {
            let tags = repository.tags();
            tags.map(move |(tag, image)| ((name.clone(), tag.clone()), image.digest))
        })
        .collect()
}

/// The manifest of every image.
pub(crate) fn manifests_of(state: &State) -> BTreeMap<(RepositoryName, Digest), Arc<str>> {
    let repositories = state.repositories(&owner());
    repositories
        .flat_map(|(name, repository)| {
            let images = repository.images();
            images.map(move |image| ((name.clone(), image.digest), Arc::clone(&image.manifest)))
        })
        .collect()
}

/// One of these, by chance.
pub(crate) fn one_of<'a, T>(rng: &mut fastrand::Rng, items: &'a [T]) -> &'a T {
    rng.choice(items).unwrap()
}

/// True so many times in a hundred.
pub(crate) fn percent(rng: &mut fastrand::Rng, share: u8) -> bool {
    rng.u8(0..100) < share
}

/// A number that an environment variable gives.
pub(crate) fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var_os(variable)?.into_string().unwrap();
    Some(text.parse().unwrap())
}
