//! What the tests share.

use std::sync::Arc;

use ecr_retag::model::{RepositoryName, Tag};
use ecr_retag::plan;
use ecr_retag::registry::{
    CallContext, ConnectOptions, FetchedImage, ImageId, InProcess, Operation, Put, PutImage, Rate, Registry,
    RegistryError, Turn, connect,
};
use ecr_retag::sandbox::fault::{Action, FaultRule, Match};
use ecr_retag::sandbox::{Clock, FaultPlan, Faults, Quotas, Sandbox, seed};
use jiff::Timestamp;

/// A clock that follows tokio's, which tests pause.
pub(crate) fn clock() -> Clock {
    let begun_at = tokio::time::Instant::now();
    let epoch: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
    Arc::new(move || epoch + begun_at.elapsed())
}

/// The built-in seed without quotas, and a way to reach it.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) options: ConnectOptions,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = clock();
        let sandbox = Sandbox::new(seed::builtin(), Faults::none(), Arc::clone(&clock));
        sandbox.set_quotas(Quotas::none());
        let options = ConnectOptions {
            in_process: Some(InProcess {
                http_client: sandbox.http_client(),
                access_key_id: "AKIA123456789012".to_owned(),
                clock,
            }),
            put_rate: Rate::Unlimited,
            ..ConnectOptions::default()
        };
        Self { sandbox, options }
    }

    /// Lets this happen to these calls.
    pub(crate) fn fault(&self, on: Match, action: Action) {
        self.fault_times(None, on, action);
    }

    /// Lets this happen to the first so many of these calls.
    pub(crate) fn fault_times(&self, times: impl Into<Option<u64>>, on: Match, action: Action) {
        let rule = FaultRule {
            on,
            times: times.into(),
            action,
        };
        self.sandbox.set_faults(Faults::new(FaultPlan {
            seed: 0,
            rules: vec![rule],
        }));
    }

    pub(crate) async fn registry(&self) -> Registry {
        connect(&plan::Registry::default(), &self.options).await.unwrap()
    }

    /// How many calls of an operation arrived.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.sandbox
            .tallies()
            .get(operation)
            .map_or(0, |tally| tally.calls)
    }
}

pub(crate) fn on(operation: Operation) -> Match {
    Match {
        operation: Some(operation.to_string()),
        ..Match::default()
    }
}

pub(crate) fn repository() -> RepositoryName {
    "shop/api".parse().unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// One attempt to list the tags of a repository.
pub(crate) async fn list_once(registry: &Registry) -> Result<(), RegistryError> {
    let turn = registry
        .pace(Operation::ListImages)
        .turn(&CallContext::new(0))
        .await?;
    registry.list_images(turn, &repository(), None).await?;
    Ok(())
}

/// Lists the tags of a repository, as often as it takes.
pub(crate) async fn list(registry: &Registry, context: &CallContext) -> Result<u32, RegistryError> {
    let repository = repository();
    let listed = registry.call(Operation::ListImages, context, |turn| {
        registry.list_images(turn, &repository, None)
    });
    Ok(listed.await?.attempts)
}

/// The image that a tag is on.
pub(crate) async fn image(registry: &Registry, of: &str) -> FetchedImage {
    let (repository, ids, context) = (repository(), [ImageId::tag(tag(of))], CallContext::new(0));
    let fetched = registry.call(Operation::BatchGetImage, &context, |turn| {
        registry.batch_get_image(turn, &repository, &ids)
    });
    fetched.await.unwrap().value.images.remove(0)
}

/// One attempt to put a tag on an image.
pub(crate) async fn put_once(
    registry: &Registry,
    turn: Turn,
    image: &FetchedImage,
    tag: &Tag,
) -> Result<Put, RegistryError> {
    let put = PutImage {
        repository: &repository(),
        tag,
        digest: image.digest,
        manifest: &image.manifest,
        media_type: image.media_type.as_deref(),
    };
    registry.put_image(turn, put).await
}
