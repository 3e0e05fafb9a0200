//! What the tests share.

use std::sync::Arc;

use aws_sdk_ecr::config::retry::RetryConfig;
use aws_sdk_ecr::config::{BehaviorVersion, Credentials, Region};
use ecr_retag::sandbox::state::State;
use ecr_retag::sandbox::{Caller, Clock, Faults, Sandbox, seed};
use jiff::Timestamp;

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

/// A state as a seed file describes it.
pub(crate) fn planted(yaml: &str) -> State {
    let mut state = State::new();
    seed::plant(&seed::parse(yaml).unwrap(), &owner(), &mut state).unwrap();
    state
}

pub(crate) fn sandbox(yaml: &str) -> Sandbox {
    Sandbox::new(planted(yaml), Faults::none(), still())
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
