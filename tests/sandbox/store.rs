//! The state file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ecr_retag::sandbox::state::State;
use ecr_retag::sandbox::{Sandbox, StoreError};
use serde_json::{Value, json};

use crate::support::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("deep/er/sandbox.json")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("deep/er/sandbox.json.log")
    }
}

fn open(path: &Path) -> Sandbox {
    Sandbox::open_or_else(path, still(), || planted(SMALL)).unwrap()
}

/// The state in the words of its file.
fn written(state: &State) -> Value {
    serde_json::to_value(state.to_snapshot(0)).unwrap()
}

/// Retags, so that there is something to lose.
async fn retag(sandbox: &Sandbox, tag: &str) {
    let image = sandbox.with_state(|state| tagged(state, "stable").clone());
    client(sandbox)
        .put_image()
        .repository_name("shop/api")
        .image_manifest(&*image.manifest)
        .image_tag(tag)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_built_in_seed_is_there_at_first() {
    let folder = Folder::new();
    let sandbox = Sandbox::open(&folder.file(), still()).unwrap();
    let before = sandbox.with_state(written);
    assert_eq!(before, written(&ecr_retag::sandbox::seed::builtin()));
    drop(sandbox);
    let sandbox = Sandbox::open(&folder.file(), still()).unwrap();
    assert_eq!(sandbox.with_state(written), before);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let folder = Folder::new();
    let sandbox = open(&folder.file());
    let snapshot = fs::read(folder.file()).unwrap();
    for n in 0..5 {
        retag(&sandbox, &format!("t{n}")).await;
    }
    let client = client(&sandbox);
    client
        .create_repository()
        .repository_name("shop/new")
        .send()
        .await
        .unwrap();
    let before = sandbox.with_state(written);
    // Nothing was saved as a whole, as if the process were killed.
    assert_eq!(fs::read(folder.file()).unwrap(), snapshot);
    drop((client, sandbox));
    let sandbox = open(&folder.file());
    assert_eq!(sandbox.with_state(written), before);
    assert_eq!(fs::read_to_string(folder.log()).unwrap().lines().count(), 6);
    sandbox.save().unwrap();
    assert_eq!(fs::read(folder.log()).unwrap(), b"");
    drop(sandbox);
    assert_eq!(open(&folder.file()).with_state(written), before);
}

#[tokio::test]
async fn reading_writes_nothing() {
    let folder = Folder::new();
    let sandbox = open(&folder.file());
    client(&sandbox)
        .list_images()
        .repository_name("shop/api")
        .send()
        .await
        .unwrap();
    client(&sandbox)
        .list_images()
        .repository_name("shop/none")
        .send()
        .await
        .unwrap_err();
    assert_eq!(fs::read(folder.log()).unwrap(), b"");
}

#[tokio::test]
async fn a_torn_last_line_is_forgotten() {
    let folder = Folder::new();
    let sandbox = open(&folder.file());
    retag(&sandbox, "one").await;
    let whole = fs::read(folder.log()).unwrap();
    let after_one = sandbox.with_state(written);
    retag(&sandbox, "two").await;
    let both = fs::read(folder.log()).unwrap();
    drop(sandbox);
    for length in [
        whole.len() + 1,
        usize::midpoint(whole.len(), both.len()),
        both.len() - 1,
    ] {
        let mut log = fs::File::create(folder.log()).unwrap();
        log.write_all(&both[..length]).unwrap();
        let sandbox = open(&folder.file());
        assert_eq!(sandbox.with_state(written), after_one);
        assert_eq!(fs::read(folder.log()).unwrap(), whole);
        // And what comes next is not glued to it.
        retag(&sandbox, "three").await;
        drop(sandbox);
        let sandbox = open(&folder.file());
        assert!(sandbox.with_state(|state| tags(state).contains_key("three")));
    }
}

#[tokio::test]
async fn changes_that_the_snapshot_includes_are_not_made_twice() {
    let folder = Folder::new();
    let sandbox = open(&folder.file());
    retag(&sandbox, "one").await;
    let log = fs::read(folder.log()).unwrap();
    let delete = aws_sdk_ecr::types::ImageIdentifier::builder()
        .image_tag("one")
        .build();
    client(&sandbox)
        .batch_delete_image()
        .repository_name("shop/api")
        .image_ids(delete)
        .send()
        .await
        .unwrap();
    sandbox.save().unwrap();
    let before = sandbox.with_state(written);
    drop(sandbox);
    // As if the process had died between the snapshot and the emptying of the log.
    fs::File::create(folder.log()).unwrap().write_all(&log).unwrap();
    assert_eq!(open(&folder.file()).with_state(written), before);
}

#[test]
fn two_processes_do_not_share_a_file() {
    let folder = Folder::new();
    let sandbox = open(&folder.file());
    let error = Sandbox::open(&folder.file(), still()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    assert!(
        error.to_string().ends_with("is in use by another process"),
        "{error}"
    );
    drop(sandbox);
    open(&folder.file());
}

#[test]
fn a_damaged_file_is_an_error_and_reset_repairs_it() {
    let folder = Folder::new();
    for damaged in [
        "",
        "{",
        "{\"version\":1}",
        "{\"version\":9,\"includes\":0,\"registries\":[]}",
    ] {
        drop(open(&folder.file()));
        fs::File::create(folder.file())
            .unwrap()
            .write_all(damaged.as_bytes())
            .unwrap();
        let error = Sandbox::open(&folder.file(), still()).unwrap_err();
        assert!(error.to_string().ends_with("is no sandbox state"), "{error}");
        let contents = ecr_retag::sandbox::command::reset(&folder.file()).unwrap();
        assert!(contents.repositories >= 10);
        Sandbox::open(&folder.file(), still()).unwrap();
    }
    fs::File::create(folder.log())
        .unwrap()
        .write_all(b"nonsense\n{}\n")
        .unwrap();
    let error = Sandbox::open(&folder.file(), still()).unwrap_err();
    assert!(matches!(error, StoreError::Log { line: 1, .. }), "{error}");
}

#[test]
fn everything_is_kept() {
    let mut state = planted(
        "
repositories:
  - names: [shop/api]
    mutability: immutable-with-exclusion
    exclusion_filters: [latest]
    image: oci-index
    tags: { a: a, b: b }
  - { names: [shop/web], mutability: mutable-with-exclusion, exclusion_filters: ['v*'], image: artifact, tags: { x: x } }
  - { names: [shop/empty], mutability: immutable, account: '111111111111', region: eu-west-1 }
",
    );
    let archive = json!({
        "repositoryName": "shop/api",
        "imageId": { "imageTag": "a" },
        "targetStorageClass": "ARCHIVE",
    });
    call(&mut state, "UpdateImageStorageClass", &archive).unwrap();
    let pull = json!({ "repositoryName": "shop/api", "imageIds": [{ "imageTag": "b" }] });
    call(&mut state, "BatchGetImage", &pull).unwrap();
    new_image(&mut state, ecr_retag::sandbox::seed::Kind::Oci, "new");
    state.grant("111111111111".parse().unwrap(), owner().account);
    let text = serde_json::to_string(&state.to_snapshot(7)).unwrap();
    let mut read = State::from_snapshot(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&read.to_snapshot(7)).unwrap(), text);
    for request in [
        json!({ "repositoryName": "shop/api", "filter": { "imageStatus": "ANY" } }),
        json!({ "repositoryName": "shop/web" }),
    ] {
        assert_eq!(
            call(&mut read, "DescribeImages", &request),
            call(&mut state, "DescribeImages", &request)
        );
    }
}
