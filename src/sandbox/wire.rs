//! The wire: AWS JSON 1.1 for ECR and the Query protocol for STS, from HTTP requests and back.

pub(super) mod auth;
pub(super) mod sts;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::calls::Call;
use super::fault::Throttle;
use super::state::{Answer, ErrorAnswer};
use crate::model::AccountId;
use auth::{Api, Credential};
use sts::Form;

const JSON: &str = "application/x-amz-json-1.1";

/// A request that was read; what is wrong with it comes out when it is answered.
#[derive(Debug)]
pub(super) struct Incoming {
    pub operation: String,
    pub credential: Result<Credential, ErrorAnswer>,
    pub body: Body,
}

/// What a request asks, in the protocol of its service.
#[derive(Debug)]
pub(super) enum Body {
    Ecr(Result<Value, ErrorAnswer>),
    Sts(Form),
}

/// What is answered, before it becomes HTTP.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub code: Option<String>,
    content_type: Option<&'static str>,
    headers: Vec<(&'static str, u64)>,
    body: Vec<u8>,
}

/// Reads a request. The operation is what stands behind the last `.` of `X-Amz-Target`, or STS's `Action`.
pub(super) fn read(request: &Request<Bytes>) -> Incoming {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_form = text("content-type")
        .is_some_and(|content_type| content_type.starts_with("application/x-www-form-urlencoded"));
    if is_form {
        let form = Form::read(request.body());
        return Incoming {
            operation: named(form.get("Action").unwrap_or_default()),
            credential: auth::read(request.headers(), Api::Sts),
            body: Body::Sts(form),
        };
    }
    let target = text("x-amz-target").unwrap_or_default();
    let body: Result<Value, ErrorAnswer> = serde_json::from_slice(request.body()).map_err(|_| {
        ErrorAnswer::client(
            "SerializationException",
            "the body of the request is not a JSON document",
        )
    });
    Incoming {
        operation: named(target.rsplit('.').next().unwrap_or_default()),
        credential: auth::read(request.headers(), Api::Ecr),
        body: Body::Ecr(body),
    }
}

/// What a client sends as the name of an operation is kept only if it could be one: it goes into the log.
fn named(operation: &str) -> String {
    let is_name = operation.len() <= 64 && operation.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_name {
        operation.to_owned()
    } else {
        "-".to_owned()
    }
}

impl Incoming {
    /// The beginning of the log entry: what the call is about.
    pub(super) fn to_call(&self, number: u64, at: Timestamp) -> Call {
        let mut call = Call {
            number,
            at,
            operation: self.operation.clone(),
            is_sts: matches!(self.body, Body::Sts(_)),
            caller: None,
            registry: None,
            repository: None,
            tags: Vec::new(),
            digests: Vec::new(),
            status: None,
            code: None,
            took_effect: false,
            is_other_writer: false,
        };
        if let Body::Ecr(Ok(request)) = &self.body {
            call.describe(request);
        }
        call
    }
}

impl Call {
    /// Notes what a request of ECR is about.
    pub(super) fn describe(&mut self, request: &Value) {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let account: Option<AccountId> = text(request, "registryId").and_then(|id| id.parse().ok());
        self.registry = account.or_else(|| self.registry.take());
        self.repository = text(request, "repositoryName").and_then(|name| name.parse().ok());
        let ids = request.get("imageIds").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().take(100);
        for id in std::iter::once(request).chain(ids) {
            self.tags.extend(text(id, "imageTag"));
            self.digests.extend(text(id, "imageDigest"));
        }
    }
}

impl Reply {
    pub(super) fn of_ecr(answer: &Answer) -> Self {
        match answer {
            Ok(body) => Self {
                status: 200,
                code: None,
                content_type: Some(JSON),
                headers: Vec::new(),
                body: body.to_string().into_bytes(),
            },
            Err(error) => Self {
                status: error.status,
                code: Some(error.code.to_string()),
                content_type: Some(JSON),
                headers: Vec::new(),
                body: error.to_body().to_string().into_bytes(),
            },
        }
    }

    pub(super) fn of_sts(answer: &Result<String, ErrorAnswer>, request_id: &str) -> Self {
        let (status, code, body) = match answer {
            Ok(body) => (200, None, body.clone()),
            Err(error) => (
                error.status,
                Some(error.code.to_string()),
                sts::to_error_body(error, request_id),
            ),
        };
        Self {
            status,
            code,
            content_type: Some("text/xml"),
            headers: Vec::new(),
            body: body.into_bytes(),
        }
    }

    /// A status and nothing else.
    pub(super) fn bare(status: u16) -> Self {
        Self {
            status,
            code: None,
            content_type: None,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same answer, but that each of its manifests ends with one more line break.
    pub(super) fn with_manifests_reformatted(mut self) -> Self {
        let Ok(mut body) = serde_json::from_slice::<Value>(&self.body) else {
            return self;
        };
        let images = body.get_mut("images").and_then(Value::as_array_mut);
        for image in images.into_iter().flatten() {
            if let Some(Value::String(manifest)) = image.get_mut("imageManifest") {
                manifest.push('\n');
            }
        }
        self.body = body.to_string().into_bytes();
        self
    }

    /// 200 with a body that no client can read.
    pub(super) fn garbage() -> Self {
        Self {
            content_type: Some(JSON),
            body: b"{\"image\":{]<html>".to_vec(),
            ..Self::bare(200)
        }
    }

    pub(super) fn throttle(throttle: Throttle) -> Self {
        let mut reply = match throttle.shape.status_and_code() {
            (status, None) => Self::bare(status),
            (status, Some(code)) => Self::of_ecr(&Err(ErrorAnswer::new(status, code, "Rate exceeded"))),
        };
        let seconds = throttle
            .retry_after_seconds
            .map(|seconds| ("retry-after", seconds));
        let ms = throttle.retry_after_ms.map(|ms| ("x-amz-retry-after", ms));
        reply.headers.extend(seconds.into_iter().chain(ms));
        reply
    }

    /// The HTTP response.
    pub(super) fn into_response(self, request_id: &str, now: Timestamp) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body));
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", value);
        }
        if let Ok(value) = HeaderValue::from_str(&now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
            headers.insert(header::DATE, value);
        }
        if let Some(content_type) = self.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from(value));
        }
        response
    }
}

/// The id of the n-th request.
pub(super) fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}
