//! Remembers where calls go, for messages that name it: only the SDK knows, from options, environment and region.

use std::sync::{Arc, OnceLock};

use aws_sdk_ecr::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecr::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecr::error::BoxError;

/// The URL that a client's calls go to; clones remember the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoint(Arc<OnceLock<String>>);

impl Endpoint {
    /// The URL, once a call was sent there.
    pub(super) fn url(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
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
        self.0
            .get_or_init(|| context.request().uri().trim_end_matches('/').to_owned());
        Ok(())
    }
}
