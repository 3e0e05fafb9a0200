//! The calls themselves, with the AWS CLI's number of attempts.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::SdkError;
use aws_sdk_ecr::operation::put_image::{PutImageError as SdkPutImageError, PutImageOutput};
use aws_sdk_ecr::types::ImageIdentifier;
use serde_json::Value;

use super::answer::{Image, service_error};
use super::{PutImageError, Request, ServiceError, Watch};
use crate::model::Digest;
use crate::plan;
use crate::registry::{self, ConnectOptions, Kind, RegistryError, WAIT_MAX};

type SdkFailure = SdkError<SdkPutImageError, HttpResponse>;

/// Calls ECR.
#[derive(Debug)]
pub struct Caller {
    client: Client,
    attempts_max: u32,
    chance: fastrand::Rng,
    watch: Watch,
}

impl Caller {
    /// Gets ready to call ECR, with at most so many attempts a call; `chance` decides the random part of waits.
    ///
    /// Fails without a region, or if certificates cannot be used.
    pub async fn connect(
        options: &ConnectOptions,
        attempts_max: u32,
        chance: fastrand::Rng,
        watch: Watch,
    ) -> Result<Self, PutImageError> {
        let config = registry::sdk_config(&plan::Registry::default(), options).await;
        let config = config.map_err(|error| {
            let text = match error.kind() {
                Kind::Configuration if options.region.is_none() => {
                    "You must specify a region. You can also configure your region by running \"aws configure\"."
                }
                _ => error.message(),
            };
            PutImageError::Configuration(text.to_owned())
        })?;
        let endpoint = options.endpoint_url.as_deref();
        Ok(Self {
            client: registry::client(&config, endpoint, options.no_sign_request),
            attempts_max,
            chance,
            watch,
        })
    }

    /// Puts an image and gives ECR's answer.
    ///
    /// Throttles, errors of the server and broken connections are tried again, as often as the AWS CLI does in its
    /// standard mode. `LimitExceededException` is not: it is a quota on images or tags, which waiting does not change.
    pub async fn put(&mut self, request: &Request) -> Result<Value, PutImageError> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(request).await {
                Ok(output) => return Ok(answer(&output)),
                Err(failure) => failure,
            };
            let classified = registry::classify(&failure, None);
            if !is_passing(&classified) {
                return Err(self.describe(&failure, &classified, None));
            }
            if attempt >= self.attempts_max {
                return Err(self.describe(&failure, &classified, Some(attempt - 1)));
            }
            tokio::time::sleep(self.wait_after(attempt, &classified)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &Request) -> Result<PutImageOutput, SdkFailure> {
        self.client
            .put_image()
            .set_registry_id(request.registry_id.clone())
            .repository_name(&request.repository_name)
            .image_manifest(&request.image_manifest)
            .set_image_manifest_media_type(request.image_manifest_media_type.clone())
            .set_image_tag(request.image_tag.clone())
            .set_image_digest(request.image_digest.clone())
            .customize()
            .interceptor(self.watch.clone())
            .send()
            .await
    }

    /// Says what a put would have answered, if what it asks for is there already.
    ///
    /// `refusal` is what ECR said: that the image is there with this tag, or that the tag is there and immutable. Only
    /// looking tells in the second case whether it is on this image.
    pub async fn settle(&self, request: &Request, refusal: &ServiceError) -> Option<Value> {
        let digest = Digest::of(request.image_manifest.as_bytes()).to_string();
        let is_there = match refusal.code.as_str() {
            "ImageAlreadyExistsException" => true,
            "ImageTagAlreadyExistsException" => false,
            _ => return None,
        };
        let wanted = match &request.image_tag {
            Some(tag) => ImageIdentifier::builder().image_tag(tag),
            None => ImageIdentifier::builder().image_digest(&digest),
        };
        let found = self
            .client
            .batch_get_image()
            .set_registry_id(request.registry_id.clone())
            .repository_name(&request.repository_name)
            .image_ids(wanted.build())
            .set_accepted_media_types(Some(registry::MEDIA_TYPES.map(ToOwned::to_owned).to_vec()))
            .customize()
            .interceptor(self.watch.clone())
            .send()
            .await
            .ok();
        let found = found.and_then(|found| found.images.unwrap_or_default().into_iter().next());
        let image = Image {
            account: request.registry_id.as_deref(),
            repository: Some(&request.repository_name),
            digest: Some(&digest),
            tag: request.image_tag.as_deref(),
            manifest: Some(&request.image_manifest),
            media_type: request.image_manifest_media_type.as_deref(),
        };
        let Some(found) = found else {
            // Whoever may not read is told what is known without.
            return is_there.then(|| image.to_answer());
        };
        let found_digest = found.image_id().and_then(|id| id.image_digest());
        let seen = Image {
            account: found.registry_id().or(image.account),
            media_type: found.image_manifest_media_type().or(image.media_type),
            ..image
        };
        (found_digest == Some(digest.as_str())).then(|| seen.to_answer())
    }

    /// Between nothing and 1 s, 2 s, 4 s, …, and no less than the service asks for.
    fn wait_after(&mut self, attempt: u32, error: &RegistryError) -> Duration {
        let longest = Duration::from_secs(1 << attempt.saturating_sub(1).min(5)).min(WAIT_MAX);
        let wait = longest.mul_f64(self.chance.f64());
        error.retry_after_wait().map_or(wait, |asked| asked.max(wait))
    }

    fn describe(
        &self,
        failure: &SdkFailure,
        classified: &RegistryError,
        retries: Option<u32>,
    ) -> PutImageError {
        if let Some(response) = failure
            .raw_response()
            .filter(|response| !response.status().is_success())
        {
            let error = service_error(
                response.status().as_u16(),
                response.body().bytes().unwrap_or_default(),
            );
            return PutImageError::Service(ServiceError { retries, ..error });
        }
        let endpoint = self.watch.endpoint();
        match classified.kind() {
            _ if has_no_credentials(failure) => PutImageError::Configuration(
                "Unable to locate credentials. You can configure credentials by running \"aws configure\"."
                    .to_owned(),
            ),
            Kind::Unreachable => {
                PutImageError::Other(format!("Could not connect to the endpoint URL: \"{endpoint}\""))
            }
            _ if is_timeout(failure) => {
                PutImageError::Other(format!("Read timeout on endpoint URL: \"{endpoint}\""))
            }
            _ => PutImageError::Other(classified.message().to_owned()),
        }
    }
}

/// Whether another attempt may succeed.
fn is_passing(error: &RegistryError) -> bool {
    matches!(
        error.kind(),
        Kind::Throttled | Kind::Transient | Kind::Unreachable
    )
}

fn is_timeout(failure: &SdkFailure) -> bool {
    match failure {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(dispatch) => dispatch.is_timeout(),
        _ => false,
    }
}

fn has_no_credentials(failure: &SdkFailure) -> bool {
    let first: &(dyn Error + 'static) = failure;
    std::iter::successors(Some(first), |&error| error.source())
        .filter_map(|error| error.downcast_ref())
        .any(|error| matches!(error, CredentialsError::CredentialsNotLoaded(_)))
}

fn answer(output: &PutImageOutput) -> Value {
    let Some(image) = output.image() else {
        return Value::Object(serde_json::Map::new());
    };
    let id = image.image_id();
    let image = Image {
        account: image.registry_id(),
        repository: image.repository_name(),
        digest: id.and_then(|id| id.image_digest()),
        tag: id.and_then(|id| id.image_tag()),
        manifest: image.image_manifest(),
        media_type: image.image_manifest_media_type(),
    };
    image.to_answer()
}
