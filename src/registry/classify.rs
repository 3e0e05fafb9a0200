//! What an error of the SDK means: from codes and statuses, never from text.

use std::error::Error;
use std::time::Duration;

use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::operation::RequestId;

use super::{Kind, RegistryError, WAIT_MAX};
use crate::model::InvalidName;

/// Codes that mean: too fast. Those of the SDKs' retry handlers, and `ThrottleException`, which ECR's guide names.
const THROTTLES: [&str; 15] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottleException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Says what an error of the SDK means.
pub(super) fn classify<E>(error: &SdkError<E, HttpResponse>) -> RegistryError
where
    E: ProvideErrorMetadata + RequestId + Error + 'static,
{
    match error {
        SdkError::ServiceError(answered) => of_answer(answered.err(), answered.raw()),
        SdkError::ResponseError(broken) => of_broken_answer(error, broken.raw()),
        SdkError::TimeoutError(_) => {
            RegistryError::new(Kind::Transient, "no answer in time").caused_by(error)
        }
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) => of_connection(connector),
            None => RegistryError::new(Kind::Transient, "the connection failed").caused_by(error),
        },
        _ => of_preparation(error),
    }
}

fn of_answer<E>(error: &E, response: &HttpResponse) -> RegistryError
where
    E: ProvideErrorMetadata + RequestId + Error + 'static,
{
    let status = response.status().as_u16();
    let code = error.code();
    RegistryError::new(kind_of(code, status), error.message().unwrap_or_default())
        .answered(code, error.request_id(), Some(status))
        .retry_after(retry_after(response))
}

/// An answer that is no JSON; a proxy's page, or one that was cut off.
fn of_broken_answer(error: &(dyn Error + 'static), response: &HttpResponse) -> RegistryError {
    let status = response.status().as_u16();
    let kind = match status {
        429 => Kind::Throttled,
        _ => Kind::Transient,
    };
    RegistryError::new(kind, format!("the answer with status {status} cannot be read"))
        .answered(None, response.headers().get("x-amzn-requestid"), Some(status))
        .retry_after(retry_after(response))
        .caused_by(error)
}

fn kind_of(code: Option<&str>, status: u16) -> Kind {
    if status == 429 {
        return Kind::Throttled;
    }
    match code.unwrap_or_default() {
        code if THROTTLES.contains(&code) => Kind::Throttled,
        // A quota on images or tags. The SDKs take it for a throttle, and would repeat it in vain.
        "LimitExceededException" => Kind::Quota,
        "RepositoryNotFoundException" => Kind::RepositoryNotFound,
        "ImageNotFoundException" => Kind::ImageNotFound,
        "UnableToGetUpstreamImageException" | "KmsException" => Kind::ImageUnavailable,
        "ImageAlreadyExistsException" => Kind::AlreadyExists,
        "ImageTagAlreadyExistsException" => Kind::TagImmutable,
        "ImageDigestDoesNotMatchException" => Kind::DigestMismatch,
        "LayersNotFoundException" | "ReferencedImagesNotFoundException" => Kind::LayersMissing,
        "AccessDenied" | "AccessDeniedException" | "OptInRequired" | "UnauthorizedOperation" => Kind::Denied,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Kind::Expired,
        "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Kind::Configuration,
        "InternalError"
        | "InternalFailure"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => Kind::Transient,
        _ => match status {
            401 | 403 => Kind::Denied,
            408 | 500.. => Kind::Transient,
            _ => Kind::Invalid,
        },
    }
}

/// How long the service asks to be left alone; dates, which AWS does not send, are ignored.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let headers = response.headers();
    let number = |name| {
        headers
            .get(name)
            .and_then(|value: &str| value.trim().parse::<u64>().ok())
    };
    number("x-amz-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
        .map(|wait| wait.min(WAIT_MAX))
}

fn of_connection(error: &ConnectorError) -> RegistryError {
    if error.is_other() && error.as_other().is_none() {
        return of_preparation(error);
    }
    RegistryError::new(Kind::Transient, "the connection failed").caused_by(error)
}

fn of_preparation(error: &(dyn Error + 'static)) -> RegistryError {
    RegistryError::new(Kind::Configuration, "the call could not be prepared").caused_by(error)
}

/// The answer holds a name that ECR's own grammar does not allow.
pub(super) fn unexpected(error: &InvalidName) -> RegistryError {
    RegistryError::new(Kind::UnexpectedAnswer, error.to_string())
}

/// The answer lacks a member that ECR always sends.
pub(super) fn lacking(member: &str) -> RegistryError {
    RegistryError::new(Kind::UnexpectedAnswer, format!("the answer lacks `{member}`"))
}
