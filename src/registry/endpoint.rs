//! Remembers where calls go, for messages that name it: only the SDK knows, from options, environment and region.

use std::sync::{Arc, OnceLock};

use aws_sdk_ecr::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecr::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecr::error::BoxError;

/// The URL that a client's calls go to; clones remember the same.
#[derive(Debug, Clone, Default)]
pub struct Endpoint(Arc<OnceLock<String>>);

impl Endpoint {
    /// The URL as calls are sent to it, once one was.
    pub fn uri(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The URL as people write it, once a call was sent there.
    pub(super) fn url(&self) -> Option<&str> {
        self.uri().map(|uri| uri.trim_end_matches('/'))
    }
}

impl Intercept for Endpoint {
    fn name(&self) -> &'static str {
        "Endpoint"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.get_or_init(|| context.request().uri().to_owned());
        Ok(())
    }
}
