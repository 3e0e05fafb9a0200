//! What an error of the SDK means: from codes and statuses, never from text.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ConnectorError, ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::operation::RequestId;

use super::error::one_line;
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
///
/// `endpoint` is the URL that was called, to be named where nobody answers there.
pub fn classify<E>(error: &SdkError<E, HttpResponse>, endpoint: Option<&str>) -> RegistryError
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
            Some(connector) => of_connection(connector, endpoint),
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
    let kind = kind_of(code, status);
    let message = match error.message() {
        Some(message) => message.to_owned(),
        None if response.status().is_success() => "the answer cannot be read".to_owned(),
        None => format!("the answer has the status {status}"),
    };
    let described = RegistryError::new(kind, message)
        .answered(code, error.request_id(), Some(status))
        .retry_after(retry_after(response));
    if response.status().is_success() {
        described.caused_by(error)
    } else {
        described
    }
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
            400..500 if status != 408 => Kind::Invalid,
            // Failures of the service, and successes that cannot be read.
            _ => Kind::Transient,
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

/// No answer came. Why not decides: the way is not set up, nobody is there, or it broke in passing.
fn of_connection(error: &ConnectorError, endpoint: Option<&str>) -> RegistryError {
    if let Some(credentials) = find::<CredentialsError>(error) {
        return of_credentials(credentials);
    }
    let root = root_text(error);
    let place = endpoint.map(|url| format!(" to `{url}`")).unwrap_or_default();
    let described = |kind, what: &str| RegistryError::new(kind, format!("{what}: {root}")).caused_by(error);
    if let Some(tls) = find::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => {
                described(Kind::Configuration, "the server's certificate is not trusted").with_help(
                    "if a proxy of your network signs certificates, name its authority with `--ca-bundle` or `AWS_CA_BUNDLE`",
                )
            }
            _ => described(
                Kind::Unreachable,
                &format!("no TLS connection{place} can be made"),
            ),
        };
    }
    let is_connecting = find::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect);
    let is_broken = error.is_io() || error.as_other().is_some() || find::<hyper::Error>(error).is_some();
    if is_connecting {
        described(Kind::Unreachable, &format!("no connection{place} can be made"))
    } else if error.is_timeout() {
        described(Kind::Transient, "no answer in time")
    } else if is_broken {
        described(Kind::Transient, "the connection failed")
    } else {
        of_preparation(error)
    }
}

fn of_credentials(error: &CredentialsError) -> RegistryError {
    let CredentialsError::CredentialsNotLoaded(_) = error else {
        return of_credential_provider(error);
    };
    RegistryError::new(Kind::Configuration, "no credentials were found")
        .with_help(
            "name a profile with `--profile` or `AWS_PROFILE`, or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
        )
        .caused_by(error)
}

/// A place for credentials was found and did not give any: a role denied, an SSO session over, a program failed.
fn of_credential_provider(error: &CredentialsError) -> RegistryError {
    let (message, code) = match find::<ErrorMetadata>(error) {
        Some(answer) => (answer.message().map(ToOwned::to_owned), answer.code()),
        None => (None, None),
    };
    let message = message.unwrap_or_else(|| root_text(error));
    let help = match code {
        Some("AccessDenied" | "AccessDeniedException") => {
            "the role's trust policy must let the caller assume it, and the caller needs `sts:AssumeRole`"
        }
        Some("ValidationError") => {
            "correct what the plan file says of the role; one that is taken on with the credentials of another role has \
             a `duration` of `1h` at most"
        }
        _ => "get new credentials, for SSO with `aws sso login`, and run the same command again",
    };
    let kind = match kind_of(code, 400) {
        Kind::Expired => Kind::Expired,
        _ => Kind::Configuration,
    };
    RegistryError::new(kind, format!("no credentials could be had: {message}"))
        .answered(code, None, None)
        .with_help(help)
}

fn of_preparation(error: &(dyn Error + 'static)) -> RegistryError {
    let message = format!("the call could not be prepared: {}", root_text(error));
    RegistryError::new(Kind::Configuration, message).caused_by(error)
}

/// Looks for an error of this type among the causes; an `io::Error` hides the one it wraps from `source`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// What the innermost cause says.
fn root_text(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, one_line)
}

/// The answer holds a name that ECR's own grammar does not allow.
pub(super) fn unexpected(error: &InvalidName) -> RegistryError {
    RegistryError::new(Kind::UnexpectedAnswer, error.to_string())
}

/// The answer lacks a member that ECR always sends.
pub(super) fn lacking(member: &str) -> RegistryError {
    RegistryError::new(Kind::UnexpectedAnswer, format!("the answer lacks `{member}`"))
}
