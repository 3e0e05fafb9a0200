//! Every kind of manifest keeps its digest.

use std::collections::{BTreeMap, BTreeSet};

use ecr_retag::model::Tag;
use ecr_retag::sandbox::seed;

use crate::support::{apply, owner, sandbox, tags};

#[tokio::test]
async fn every_kind_of_manifest_survives_a_retag() {
    let sandbox = sandbox(seed::builtin());
    let repositories: Vec<String> = sandbox.with_state(|state| {
        state
            .repositories(&owner())
            .map(|(name, _)| name.to_string())
            .collect()
    });
    let before: Vec<_> = repositories.iter().map(|name| tags(&sandbox, name)).collect();
    let yaml = "version: 1\nrules:\n- { name: all, repositories: '*', from: '*', to: 'copy-of-${tag}' }\n";
    let (changeset, _) = apply(&sandbox, yaml).await;
    assert_eq!(
        changeset.changes.len(),
        before.iter().map(BTreeMap::len).sum::<usize>()
    );
    let mut media_types = BTreeSet::new();
    for (name, before) in repositories.iter().zip(before) {
        let after = tags(&sandbox, name);
        for (tag, digest) in &before {
            let copy: Tag = format!("copy-of-{tag}").parse().unwrap();
            assert_eq!(after[&copy], *digest, "{name}:{copy}");
        }
        sandbox.with_state(|state| {
            let repository = state.find_repository(&owner(), &name.parse().unwrap()).unwrap();
            for tag in before.keys() {
                media_types.insert(repository.tagged(tag).unwrap().media_type.as_str().to_owned());
            }
        });
    }
    assert_eq!(
        media_types.len(),
        4,
        "both kinds of image and both kinds of index: {media_types:?}"
    );
    let (again, _) = apply(
        &sandbox,
        "version: 1\nrules:\n- { name: all, repositories: '*', from: '[!c]*', to: 'copy-of-${tag}' }\n",
    )
    .await;
    assert_eq!(again.changes, []);
}
