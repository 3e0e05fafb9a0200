//! Real tag histories and manifests, from the folder that `ECR_RETAG_DATA` names.

use std::fs;
use std::path::PathBuf;

use ecr_retag::model::Digest;
use ecr_retag::sandbox::seed::{self, HistoryOptions};
use ecr_retag::sandbox::state::{MediaType, State};
use serde_json::json;

use crate::support::*;

#[expect(
    clippy::disallowed_methods,
    reason = "where the data is, is asked once, by the test itself"
)]
fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var("ECR_RETAG_DATA").ok();
    if folder.is_none() {
        eprintln!("{test} skipped: ECR_RETAG_DATA is not set");
    }
    folder.map(PathBuf::from)
}

#[test]
fn real_manifests_keep_their_digests() {
    let Some(folder) = data("real_manifests_keep_their_digests") else {
        return;
    };
    let folder = folder.join("manifests");
    let index = fs::read_to_string(folder.join("manifests.tsv")).unwrap();
    let mut count = 0;
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (file, media_type, digest) = (columns[0], columns[1], columns[2]);
        let media_type = MediaType::from_text(media_type).unwrap();
        let manifest = fs::read_to_string(folder.join(file)).unwrap();
        let mut state = planted(SMALL);
        // Children of an index are not among the data: such a repository is seeded.
        let request = json!({
            "repositoryName": "shop/api",
            "imageManifest": manifest,
            "imageManifestMediaType": media_type.as_str(),
            "imageDigest": digest,
            "imageTag": "real",
        });
        if media_type.is_index() {
            assert_eq!(
                code(&mut state, "PutImage", &request),
                "ReferencedImagesNotFoundException"
            );
            let tag = [tag("real")];
            state
                .seed_image(&owner(), &name("shop/api"), &manifest, media_type, now(), &tag)
                .unwrap();
        } else {
            assert_eq!(code(&mut state, "PutImage", &request), "LayersNotFoundException");
            assert!(state.upload_blobs(&owner(), &name("shop/api"), &manifest));
            call(&mut state, "PutImage", &request).unwrap();
        }
        assert_eq!(tags(&state)["real"].to_string(), digest, "{file}");
        let get = json!({ "repositoryName": "shop/api", "imageIds": [{ "imageDigest": digest }] });
        let answer = call(&mut state, "BatchGetImage", &get).unwrap();
        let answered = answer["images"][0]["imageManifest"].as_str().unwrap();
        assert_eq!(Digest::of(answered.as_bytes()).to_string(), digest);
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn real_tag_histories_are_planted() {
    let Some(folder) = data("real_tag_histories_are_planted") else {
        return;
    };
    let mut planted = 0;
    for entry in fs::read_dir(folder.join("tags")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tsv") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut state = State::new();
        let name = name(path.file_stem().unwrap().to_str().unwrap());
        let options = HistoryOptions {
            commit_tags: true,
            ..HistoryOptions::default()
        };
        seed::plant_history(&text, &owner(), &name, options, &mut state).unwrap();
        let tags = state.tags(&owner(), &name);
        for line in text.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let commit = format!("src-{}", columns[1]);
            assert_eq!(tags[columns[0]], tags[commit.as_str()], "{name} {}", columns[0]);
        }
        planted += text.lines().count();
    }
    assert!(planted > 20_000, "{planted}");
}
