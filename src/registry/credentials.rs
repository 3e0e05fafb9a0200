//! Credentials that several roles are taken on with.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_ecr::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_async::time::SharedTimeSource;
use tokio::sync::Mutex;

/// Credentials with less time than this are got anew.
const LEFT_MIN: Duration = Duration::from_mins(5);

/// Keeps what a provider gave until it runs out; what never does, such as keys in a file, is read again.
///
/// The SDK takes on a role without any cache for what it takes it on with: a program would run, or a token be
/// exchanged, once for each role.
#[derive(Debug)]
struct Kept {
    provider: SharedCredentialsProvider,
    time: SharedTimeSource,
    credentials: Mutex<Option<Credentials>>,
}

/// The same configuration with credentials that are kept.
pub(super) fn keeping_credentials(config: SdkConfig) -> SdkConfig {
    let Some(provider) = config.credentials_provider() else {
        return config;
    };
    let kept = Kept {
        provider,
        time: config.time_source().unwrap_or_default(),
        credentials: Mutex::new(None),
    };
    let kept = SharedCredentialsProvider::new(kept);
    config.into_builder().credentials_provider(kept).build()
}

impl Kept {
    async fn give(&self) -> provider::Result {
        let mut kept = self.credentials.lock().await;
        let until = self.time.now() + LEFT_MIN;
        let is_good = |credentials: &&Credentials| credentials.expiry().is_some_and(|expiry| until < expiry);
        if let Some(credentials) = kept.as_ref().filter(is_good) {
            return Ok(credentials.clone());
        }
        let credentials = self.provider.provide_credentials().await?;
        *kept = Some(credentials.clone());
        Ok(credentials)
    }
}

impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.give())
    }
}
