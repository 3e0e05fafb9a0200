//! Sees what goes over the wire: for `--debug`, and for messages that name the endpoint.

use std::sync::Arc;

use aws_sdk_ecr::config::http::{HttpRequest, HttpResponse};
use aws_sdk_ecr::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_ecr::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecr::error::BoxError;

use crate::registry::Endpoint;

/// Sees what goes over the wire; clones see the same.
#[derive(Clone)]
pub struct Watch {
    endpoint: Endpoint,
    log: Option<Arc<dyn Fn(String) + Send + Sync>>,
}

impl Watch {
    /// Remembers the endpoint, and tells `log` of every request and answer if there is one.
    pub fn new(log: Option<Arc<dyn Fn(String) + Send + Sync>>) -> Self {
        Self {
            endpoint: Endpoint::default(),
            log,
        }
    }

    /// The URL that requests go to; empty before the first.
    pub(super) fn endpoint(&self) -> &str {
        self.endpoint.uri().unwrap_or_default()
    }

    fn tell(&self, text: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log(text());
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.tell(|| request_text(context.request()));
        self.endpoint.read_before_transmit(context, components, config)
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.tell(|| response_text(context.response()));
        Ok(())
    }
}

fn request_text(request: &HttpRequest) -> String {
    let first = format!("{} {}", request.method(), request.uri());
    message_text('>', &first, request.headers().iter(), request.body().bytes())
}

fn response_text(response: &HttpResponse) -> String {
    let first = response.status().to_string();
    message_text('<', &first, response.headers().iter(), response.body().bytes())
}

/// One line for each header, and one for the body.
fn message_text<'a>(
    direction: char,
    first: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: Option<&[u8]>,
) -> String {
    let mut headers: Vec<String> = headers
        .map(|(name, value)| format!("{direction} {name}: {}\n", masked(name, value)))
        .collect();
    headers.sort();
    let body = String::from_utf8_lossy(body.unwrap_or_default());
    format!(
        "{direction} {first}\n{}{direction}\n{direction} {body}\n",
        headers.concat()
    )
}

/// The value of a header without what could be used to sign other requests.
fn masked(name: &str, value: &str) -> String {
    match name {
        "authorization" => match value.split_once("Signature=") {
            Some((before, _)) => format!("{before}Signature=***"),
            None => "***".to_owned(),
        },
        "x-amz-security-token" | "cookie" | "set-cookie" | "proxy-authorization" => "***".to_owned(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let headers = [
            ("x-amz-security-token", "token"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, \
                 Signature=5ecret",
            ),
            ("host", "localhost"),
        ];
        assert_eq!(
            message_text('>', "POST http://localhost/", headers.into_iter(), Some(b"{}")),
            "> POST http://localhost/\n> authorization: AWS4-HMAC-SHA256 \
             Credential=AKID/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=***\n> host: \
             localhost\n> x-amz-security-token: ***\n>\n> {}\n"
        );
    }
}
