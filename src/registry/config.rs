//! From what the user says about a registry to a client that reaches it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::retry::RetryConfig;
use aws_sdk_ecr::config::timeout::TimeoutConfig;
use aws_sdk_ecr::config::{
    Builder, Credentials, FrameworkMetadata, IdentityCache, SharedCredentialsProvider, SharedHttpClient,
    SharedIdentityCache, StalledStreamProtectionConfig,
};
use aws_smithy_async::time::TimeSource;
use jiff::Timestamp;

use super::credentials::keeping_credentials;
use super::endpoint::Endpoint;
use super::profile::check_profile;
use super::{Kind, Rate, Registry, RegistryError, tls};
use crate::model::{InvalidName, Region};
use crate::plan;

/// How registries are reached where the plan file does not say: command line and environment.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// A profile of `~/.aws/config`, whose credentials are taken before those of the environment; the SDK's own
    /// choice (`AWS_PROFILE`) if absent.
    pub profile: Option<String>,
    /// The profile that the SDK chooses, so that it is missed where it does not exist.
    pub ambient_profile: Option<String>,
    /// The region; the SDK's own choice (`AWS_REGION`, the profile) if absent.
    pub region: Option<Region>,
    /// Another endpoint than the region's own, for ECR only.
    pub endpoint_url: Option<String>,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Takes any certificate.
    pub no_verify_ssl: bool,
    /// How long making a connection may take; zero for without limit.
    pub connect_timeout: Duration,
    /// How long an answer may take; zero for without limit.
    pub read_timeout: Duration,
    /// Sends calls without a signature, and looks for no credentials.
    pub no_sign_request: bool,
    /// A registry inside this program; nothing of files and environment is then looked at.
    pub in_process: Option<InProcess>,
    /// How fast `PutImage` may be called.
    pub put_rate: Rate,
}

/// A registry inside this program.
#[derive(Clone)]
pub struct InProcess {
    /// Answers the calls, those to STS too.
    pub http_client: SharedHttpClient,
    /// The access key that calls are signed with.
    pub access_key_id: String,
    /// Says what time it is, for signatures and for credentials that run out.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

struct InProcessTime(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl TimeSource for InProcessTime {
    fn now(&self) -> SystemTime {
        SystemTime::try_from((self.0)()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl fmt::Debug for InProcessTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcessTime")
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            profile: None,
            ambient_profile: None,
            region: None,
            endpoint_url: None,
            ca_bundle: None,
            no_verify_ssl: false,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            no_sign_request: false,
            in_process: None,
            put_rate: Rate::Auto,
        }
    }
}

/// Reaches a registry of a plan file.
///
/// What the plan file says of it beats the options. No call is made yet, so that wrong credentials show with the
/// first one. Fails with [`Kind::Configuration`] without a region, for an unknown profile, or for a CA bundle that
/// cannot be read.
pub async fn connect(registry: &plan::Registry, options: &ConnectOptions) -> Result<Registry, RegistryError> {
    connect_sharing(registry, options, &mut Identities::new()).await
}

/// Reaches several registries; those of one profile and role get their credentials once.
///
/// Gives one result for each, in their order.
pub async fn connect_all(
    registries: &[plan::Registry],
    options: &ConnectOptions,
) -> Vec<Result<Registry, RegistryError>> {
    let mut identities = Identities::new();
    let mut connected = Vec::with_capacity(registries.len());
    for registry in registries {
        connected.push(connect_sharing(registry, options, &mut identities).await);
    }
    connected
}

/// Where credentials come from, and those that came.
type Identities = BTreeMap<IdentityKey, (SharedCredentialsProvider, SharedIdentityCache)>;

/// What decides whose credentials they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct IdentityKey {
    profile: Option<String>,
    role: Option<plan::AssumeRole>,
}

async fn connect_sharing(
    registry: &plan::Registry,
    options: &ConnectOptions,
    identities: &mut Identities,
) -> Result<Registry, RegistryError> {
    let profile = registry.access.profile.as_ref().or(options.profile.as_ref());
    let mut key = IdentityKey {
        profile: profile.cloned(),
        role: None,
    };
    let config = keeping_credentials(base_config(registry, options).await?);
    let mut config = share_identity(config, &key, identities);
    if registry.access.assume_role.is_some() {
        config = with_role(registry, options, config).await;
        key.role.clone_from(&registry.access.assume_role);
        config = share_identity(config, &key, identities);
    }
    let region = config.region().ok_or_else(no_region)?.as_ref().parse();
    let region =
        region.map_err(|error: InvalidName| RegistryError::new(Kind::Configuration, error.to_string()))?;
    let endpoint = registry
        .access
        .endpoint
        .as_ref()
        .or(options.endpoint_url.as_ref());
    let called = Endpoint::default();
    let client = client_config(&config, endpoint.map(String::as_str), options.no_sign_request)
        .interceptor(called.clone());
    Ok(Registry::new(
        registry.key.clone(),
        region,
        registry.access.account.clone(),
        (Client::from_conf(client.build()), called),
        options.put_rate,
        registry.access.put_image_per_second,
    ))
}

/// Takes over the credentials that another registry with this key has, or lets others take over these.
fn share_identity(config: SdkConfig, key: &IdentityKey, identities: &mut Identities) -> SdkConfig {
    match (identities.get(key), config.credentials_provider()) {
        (Some((provider, cache)), _) => {
            let builder = config.into_builder().credentials_provider(provider.clone());
            builder.identity_cache(cache.clone()).build()
        }
        (None, Some(provider)) => {
            let cache = config
                .identity_cache()
                .unwrap_or_else(|| IdentityCache::lazy().build());
            identities.insert(key.clone(), (provider, cache.clone()));
            config.into_builder().identity_cache(cache).build()
        }
        (None, None) => config,
    }
}

/// A client of ECR that makes one attempt a call.
///
/// `endpoint` is for ECR only, as the AWS CLI's `--endpoint-url` is: roles and SSO keep their own.
pub fn client(config: &SdkConfig, endpoint: Option<&str>, no_sign_request: bool) -> Client {
    Client::from_conf(client_config(config, endpoint, no_sign_request).build())
}

fn client_config(config: &SdkConfig, endpoint: Option<&str>, no_sign_request: bool) -> Builder {
    let mut builder = Builder::from(config)
        // The SDK's retry loses calls when many are throttled at once, and does not know ECR's codes.
        .retry_config(RetryConfig::disabled())
        // Answers are small, and the time for an attempt is limited as a whole.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    if no_sign_request {
        builder = builder.allow_no_auth();
    }
    builder
}

/// Region, credentials, timeouts and HTTP client, for ECR and for whatever else a command calls.
///
/// What the plan file says of the registry beats the options.
pub async fn sdk_config(
    registry: &plan::Registry,
    options: &ConnectOptions,
) -> Result<SdkConfig, RegistryError> {
    let config = base_config(registry, options).await?;
    Ok(with_role(registry, options, config).await)
}

async fn base_config(
    registry: &plan::Registry,
    options: &ConnectOptions,
) -> Result<SdkConfig, RegistryError> {
    let config = match &options.in_process {
        Some(in_process) => in_process_config(in_process, region(registry, options), timeouts(options)),
        None => ambient_config(registry, options).await?,
    };
    config.region().ok_or_else(no_region)?;
    Ok(config)
}

async fn with_role(registry: &plan::Registry, options: &ConnectOptions, config: SdkConfig) -> SdkConfig {
    match &registry.access.assume_role {
        Some(role) if !options.no_sign_request => assume_role(role, config).await,
        _ => config,
    }
}

fn region(registry: &plan::Registry, options: &ConnectOptions) -> Option<aws_config::Region> {
    let region = registry.access.region.as_ref().or(options.region.as_ref())?;
    Some(aws_config::Region::new(region.to_string()))
}

/// What the SDK finds in environment and files, for what is not said.
async fn ambient_config(
    registry: &plan::Registry,
    options: &ConnectOptions,
) -> Result<SdkConfig, RegistryError> {
    let endpoint = registry
        .access
        .endpoint
        .as_ref()
        .or(options.endpoint_url.as_ref());
    endpoint.map_or(Ok(()), |endpoint| check_endpoint(endpoint))?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts(options));
    if let Ok(framework) = FrameworkMetadata::new(env!("CARGO_PKG_NAME"), Some(env!("CARGO_PKG_VERSION"))) {
        loader = loader.framework_metadata(framework);
    }
    loader = loader.http_client(http_client(options).await?);
    if let Some(region) = region(registry, options) {
        loader = loader.region(region);
    }
    let profile = registry.access.profile.as_ref().or(options.profile.as_ref());
    if let Some(named) = profile.or(options.ambient_profile.as_ref()) {
        check_profile(named).await?;
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if options.no_sign_request {
        loader = loader.no_credentials();
    }
    // The SDK's future is so large that it would be felt wherever this one is kept.
    let config = Box::pin(loader.load()).await;
    Ok(match profile {
        Some(profile) if !options.no_sign_request => with_credentials_of(profile, config),
        _ => config,
    })
}

/// Whoever names a profile does not mean the keys that happen to be in the environment; the SDK would take those.
fn with_credentials_of(profile: &str, config: SdkConfig) -> SdkConfig {
    let mut source = ProviderConfig::without_region().with_region(config.region().cloned());
    if let Some(http_client) = config.http_client() {
        source = source.with_http_client(http_client);
    }
    let of_profile = ProfileFileCredentialsProvider::builder()
        .configure(&source)
        .profile_name(profile);
    let of_container = EcsCredentialsProvider::builder().configure(&source);
    let of_instance = ImdsCredentialsProvider::builder().configure(&source);
    let chain = CredentialsProviderChain::first_try("profile", of_profile.build())
        .or_else("container", of_container.build())
        .or_else("instance", of_instance.build());
    let provider = SharedCredentialsProvider::new(chain);
    config.into_builder().credentials_provider(provider).build()
}

/// The SDK's own client, or one for what that does not do.
async fn http_client(options: &ConnectOptions) -> Result<SharedHttpClient, RegistryError> {
    match &options.ca_bundle {
        _ if options.no_verify_ssl => tls::trusting_anyone(),
        Some(ca_bundle) => tls::trusting(ca_bundle).await,
        None => Ok(tls::ready_when_needed()),
    }
}

/// The SDK would show the whole request instead of saying what is wrong with an endpoint.
fn check_endpoint(endpoint: &str) -> Result<(), RegistryError> {
    if endpoint.contains('@') {
        // It would be written to journals.
        let message = "an endpoint takes no user name and no password";
        return Err(RegistryError::new(Kind::Configuration, message));
    }
    let is_url = endpoint
        .parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_url {
        return Ok(());
    }
    Err(RegistryError::new(
        Kind::Configuration,
        format!("the endpoint `{endpoint}` is not a URL"),
    )
    .with_help("an endpoint looks like `https://api.ecr.eu-west-1.amazonaws.com`"))
}

fn in_process_config(
    in_process: &InProcess,
    region: Option<aws_config::Region>,
    timeouts: TimeoutConfig,
) -> SdkConfig {
    let credentials = Credentials::new(&in_process.access_key_id, "in-process", None, None, "in-process");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .time_source(InProcessTime(Arc::clone(&in_process.clock)))
        .region(region.unwrap_or(aws_config::Region::from_static("us-east-1")))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(in_process.http_client.clone())
        .timeout_config(timeouts)
        .build()
}

/// Credentials of a role, renewed by the SDK before they run out.
async fn assume_role(role: &plan::AssumeRole, config: SdkConfig) -> SdkConfig {
    let mut provider = AssumeRoleProvider::builder(&role.role_arn)
        .session_name(role.session_name.as_deref().unwrap_or(env!("CARGO_PKG_NAME")))
        .configure(&config);
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    if let Some(duration_s) = role.duration_s {
        provider = provider.session_length(Duration::from_secs(duration_s.into()));
    }
    let provider = SharedCredentialsProvider::new(Box::pin(provider.build()).await);
    config.into_builder().credentials_provider(provider).build()
}

fn timeouts(options: &ConnectOptions) -> TimeoutConfig {
    let (connect, read) = (options.connect_timeout, options.read_timeout);
    let mut timeouts = TimeoutConfig::builder();
    if connect.is_zero() {
        timeouts = timeouts.disable_connect_timeout();
    } else {
        timeouts = timeouts.connect_timeout(connect);
    }
    if read.is_zero() {
        timeouts = timeouts.disable_read_timeout();
    } else {
        timeouts = timeouts.read_timeout(read);
    }
    if !connect.is_zero() && !read.is_zero() {
        timeouts = timeouts.operation_attempt_timeout(connect + read);
    }
    timeouts.build()
}

fn no_region() -> RegistryError {
    RegistryError::new(Kind::Configuration, "no region is set")
        .with_help("say `region` in the plan file, `--region`, or `AWS_REGION`")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::provider::{ProvideCredentials, future};
    use serde_json::json;

    use super::*;
    use crate::registry::testing::{Scripted, ok};

    #[derive(Debug)]
    struct Counting(Arc<AtomicUsize>);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::Relaxed);
            future::ProvideCredentials::ready(Ok(Credentials::new("AKID", "secret", None, None, "counting")))
        }
    }

    #[tokio::test]
    async fn registries_of_one_profile_get_their_credentials_once() {
        let server = Scripted::new(|_, _| ok(&json!({})));
        let options = server.options();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut identities = Identities::new();
        for (profile, times) in [(None, 1), (None, 1), (Some("other".to_owned()), 2), (None, 2)] {
            let config = base_config(&plan::Registry::default(), &options).await.unwrap();
            let provider = SharedCredentialsProvider::new(Counting(Arc::clone(&asked)));
            let config = config.into_builder().credentials_provider(provider).build();
            let key = IdentityKey { profile, role: None };
            let config = share_identity(config, &key, &mut identities);
            let answer = client(&config, None, false)
                .list_images()
                .repository_name("shop/api");
            answer.send().await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
    }

    async fn refused(registry: &plan::Registry) -> RegistryError {
        let error = connect(registry, &ConnectOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Configuration);
        error
    }

    #[tokio::test]
    async fn what_cannot_work_is_said_before_any_call() {
        for endpoint in ["", "api.ecr", "ftp://api.ecr", "http://", "no url"] {
            let access = plan::Access {
                endpoint: Some(endpoint.to_owned()),
                ..plan::Access::default()
            };
            let registry = plan::Registry {
                access,
                ..plan::Registry::default()
            };
            let error = refused(&registry).await;
            assert_eq!(
                error.to_string(),
                format!("the endpoint `{endpoint}` is not a URL")
            );
        }
        let access = plan::Access {
            profile: Some("no-such-profile".to_owned()),
            ..plan::Access::default()
        };
        let registry = plan::Registry {
            access,
            ..plan::Registry::default()
        };
        let error = refused(&registry).await;
        assert_eq!(error.to_string(), "the profile `no-such-profile` does not exist");
        assert!(error.help().is_some());
    }
}
