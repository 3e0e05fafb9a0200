//! `put-image` with the manifests of real images, from the folder that `ECR_RETAG_DATA` names.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use ecr_retag::sandbox::seed::{self, Seed};
use ecr_retag::sandbox::state::{MediaType, State};
use ecr_retag::sandbox::{Caller, Sandbox};
use jiff::Timestamp;

const SEED: &str =
    "repositories: [{ names: [hello-world], image: docker, images: [{ name: one, tags: [first] }] }]\n";

#[expect(
    clippy::disallowed_methods,
    reason = "where the data is, is asked once, by the test itself"
)]
fn manifests() -> Option<PathBuf> {
    let folder = std::env::var("ECR_RETAG_DATA").ok()?;
    Some(PathBuf::from(folder).join("manifests"))
}

/// Puts what the manifest refers to into the repository; an index comes with its children, under another tag.
fn plant(sandbox: &Sandbox, owner: &Caller, manifest: &str, media_type: MediaType) {
    let name = "hello-world".parse().unwrap();
    let tag = ["planted".parse().unwrap()];
    let planted = sandbox.edit(|state| {
        if media_type.is_index() {
            let now = Timestamp::constant(1_704_067_200, 0);
            state
                .seed_image(owner, &name, manifest, media_type, now, &tag)
                .unwrap();
        } else {
            assert!(state.upload_blobs(owner, &name, manifest));
        }
    });
    planted.unwrap();
}

#[test]
fn a_manifest_file_of_each_kind_goes_in_with_its_digest_unchanged() {
    let Some(folder) = manifests() else {
        eprintln!("skipped: ECR_RETAG_DATA is not set");
        return;
    };
    let index = fs::read_to_string(folder.join("manifests.tsv")).unwrap();
    let owner = seed::default_owner().unwrap();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (file, media_type, digest) = (columns[0], columns[1], columns[2]);
        let path = folder.join(file);
        let manifest = fs::read_to_string(&path).unwrap();
        let state_folder = tempfile::tempdir().unwrap();
        let state_file = state_folder.path().join("sandbox.json");
        let initial = || {
            let mut state = State::new();
            let seed: Seed = seed::parse(SEED).unwrap();
            seed::plant(&seed, &owner, &mut state).unwrap();
            state
        };
        let clock = Arc::new(|| Timestamp::constant(1_704_067_200, 0));
        let sandbox = Sandbox::open_or_else(&state_file, clock, initial).unwrap();
        plant(
            &sandbox,
            &owner,
            &manifest,
            MediaType::from_text(media_type).unwrap(),
        );
        drop(sandbox);
        let put = Command::new(env!("CARGO_BIN_EXE_ecr-retag"))
            .args([
                "put-image",
                "--repository-name",
                "hello-world",
                "--image-tag",
                "2019.08",
            ])
            .arg(format!("--sandbox={}", state_file.display()))
            .arg(format!("--image-manifest=file://{}", path.display()))
            .args([
                "--image-manifest-media-type",
                media_type,
                "--image-digest",
                digest,
            ])
            .args([
                "--query",
                "image.imageId.[imageDigest, imageTag]",
                "--output",
                "text",
            ])
            .output()
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&put.stdout),
            String::from_utf8_lossy(&put.stderr),
        );
        assert_eq!(stdout, format!("{digest}\t2019.08\n"), "{file}: {stderr}");
        assert_eq!((put.status.code(), &*stderr), (Some(0), ""), "{file}");
    }
}
