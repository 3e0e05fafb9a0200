//! What the tests share.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ecr::config::retry::RetryConfig;
use aws_sdk_ecr::config::{BehaviorVersion, Credentials, Region};
use ecr_retag::model::{Digest, RepositoryName, Tag};
use ecr_retag::sandbox::fault::FaultPlan;
use ecr_retag::sandbox::seed::{Kind, Made, make};
use ecr_retag::sandbox::state::{ErrorAnswer, Image, Repository, State};
use ecr_retag::sandbox::{Caller, Clock, Faults, Sandbox, seed};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A repository with one image of two tags, and one of none.
pub(crate) const SMALL: &str = "
repositories:
  - names: [shop/api]
    images:
      - { name: one, pushed_at: 2024-01-01T00:00:00Z, tags: [1.0.0, stable] }
      - { name: two, pushed_at: 2024-01-02T00:00:00Z }
";

/// The YAML in the documentation of a module.
pub(crate) fn documented(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let yaml = lines.skip_while(|line| *line != " ```yaml").skip(1);
    yaml.take_while(|line| *line != " ```")
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// A moment in 2026.
pub(crate) fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

/// A clock that follows tokio's, which tests can pause.
pub(crate) fn clock() -> Clock {
    let start = tokio::time::Instant::now();
    Arc::new(move || now() + start.elapsed())
}

/// A clock that stands still.
pub(crate) fn still() -> Clock {
    Arc::new(now)
}

pub(crate) fn owner() -> Caller {
    seed::default_owner().unwrap()
}

pub(crate) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// A state as a seed file describes it.
pub(crate) fn planted(yaml: &str) -> State {
    let mut state = State::new();
    seed::plant(&seed::parse(yaml).unwrap(), &owner(), &mut state).unwrap();
    state
}

pub(crate) fn sandbox(yaml: &str) -> Sandbox {
    Sandbox::new(planted(yaml), Faults::none(), still())
}

pub(crate) fn faulty(yaml: &str, plan: &str) -> Sandbox {
    let faults = Faults::new(FaultPlan::parse(plan).unwrap());
    Sandbox::new(planted(yaml), faults, clock())
}

/// Calls an operation as the owner of the registry.
pub(crate) fn call(state: &mut State, operation: &str, request: &Value) -> Result<Value, ErrorAnswer> {
    state.handle(operation, request, &owner(), now())
}

/// The code of the error that an operation answers.
pub(crate) fn code(state: &mut State, operation: &str, request: &Value) -> String {
    match call(state, operation, request) {
        Ok(answer) => panic!("{operation} succeeded: {answer}"),
        Err(error) => error.code.into_owned(),
    }
}

pub(crate) fn message(state: &mut State, operation: &str, request: &Value) -> String {
    call(state, operation, request).unwrap_err().message
}

pub(crate) fn repository<'a>(state: &'a State, repository: &str) -> &'a Repository {
    state.find_repository(&owner(), &name(repository)).unwrap()
}

/// The image that a tag of `shop/api` is on.
pub(crate) fn tagged<'a>(state: &'a State, text: &str) -> &'a Image {
    repository(state, "shop/api").tagged(&tag(text)).unwrap()
}

/// The tags of `shop/api` and the short digests they are on.
pub(crate) fn tags(state: &State) -> BTreeMap<String, Digest> {
    let tags = state.tags(&owner(), &name("shop/api"));
    tags.into_iter()
        .map(|(tag, digest)| (tag.to_string(), digest))
        .collect()
}

/// A PutImage of an image that is there.
pub(crate) fn put(image: &Image, tag: &str) -> Value {
    json!({
        "repositoryName": "shop/api",
        "imageManifest": &*image.manifest,
        "imageManifestMediaType": image.media_type.as_str(),
        "imageDigest": image.digest.to_string(),
        "imageTag": tag,
    })
}

/// A PutImage of an image that was just made.
pub(crate) fn push(made: &Made, tag: &str) -> Value {
    json!({
        "repositoryName": "shop/api",
        "imageManifest": made.manifest,
        "imageManifestMediaType": made.media_type.as_str(),
        "imageTag": tag,
    })
}

/// An image that no repository has, with its blobs uploaded to `shop/api`.
pub(crate) fn new_image(state: &mut State, kind: Kind, text: &str) -> Made {
    let made = make(kind, "shop/api", text);
    for image in made.before.iter().chain([&made]) {
        assert!(state.upload_blobs(&owner(), &name("shop/api"), &image.manifest));
    }
    made
}

/// The real SDK client on a sandbox in this process, without retries.
pub(crate) fn client(sandbox: &Sandbox) -> aws_sdk_ecr::Client {
    client_as(sandbox, "AKIA123456789012", "us-east-1")
}

pub(crate) fn client_as(sandbox: &Sandbox, access_key: &str, region: &str) -> aws_sdk_ecr::Client {
    let config = config(access_key, region)
        .http_client(sandbox.http_client())
        .build();
    aws_sdk_ecr::Client::from_conf(config)
}

pub(crate) fn config(access_key: &str, region: &str) -> aws_sdk_ecr::config::Builder {
    aws_sdk_ecr::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(access_key, "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
}
