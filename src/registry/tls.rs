//! HTTP clients for networks whose certificates the system does not know.
//!
//! The SDK's own client looks at neither `AWS_CA_BUNDLE` nor `--no-verify-ssl`.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_ecr::config::SharedHttpClient;
use aws_sdk_ecr::error::{BoxError, ConnectorError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;

use super::{Kind, RegistryError};

/// A client that trusts the authorities in this file of PEM certificates, and no others, as the AWS CLI does.
///
/// Fails with [`Kind::Configuration`] if the file cannot be read or holds no usable certificate.
pub(super) async fn trusting(ca_bundle: &Path) -> Result<SharedHttpClient, RegistryError> {
    let invalid = |what: String| {
        RegistryError::new(
            Kind::Configuration,
            format!("the CA bundle `{}` {what}", ca_bundle.display()),
        )
        .with_help("`--ca-bundle` and `AWS_CA_BUNDLE` name a file of certificates in PEM format")
    };
    let pem = tokio::fs::read(ca_bundle)
        .await
        .map_err(|error| invalid(format!("cannot be read: {error}")))?;
    // The SDK's client panics at certificates it cannot use, so they are looked at before.
    check_certificates(&pem).map_err(invalid)?;
    let store = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| invalid(format!("cannot be used: {error}")))?;
    Ok(client(move |connector| {
        connector
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .build()
    }))
}

/// The SDK's own client, except that TLS is made ready with the first call that needs it.
///
/// Reading the system's certificates takes longer than a small plan, and the SDK would do so for each client, if
/// only to see whether it can.
pub(super) fn ready_when_needed() -> SharedHttpClient {
    SharedHttpClient::new(ReadyWhenNeeded {
        plain: client(ConnectorBuilder::build_http),
        tls: client(|connector| {
            connector
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .build()
        }),
        connectors: PerSettings::default(),
    })
}

#[derive(Debug)]
struct ReadyWhenNeeded {
    plain: SharedHttpClient,
    tls: SharedHttpClient,
    connectors: PerSettings,
}

impl HttpClient for ReadyWhenNeeded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.connectors.get(settings, || {
            SharedHttpConnector::new(ByScheme {
                plain: self.plain.http_connector(settings, components),
                tls: OnceLock::new(),
                client: self.tls.clone(),
                settings: settings.clone(),
                components: components.clone(),
            })
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.tls.connector_metadata()
    }
}

#[derive(Debug)]
struct ByScheme {
    plain: SharedHttpConnector,
    tls: OnceLock<SharedHttpConnector>,
    client: SharedHttpClient,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("http://") {
            return self.plain.call(request);
        }
        let make = || self.client.http_connector(&self.settings, &self.components);
        self.tls.get_or_init(make).call(request)
    }
}

/// The connectors of a client, which is asked for one with every call; whoever has other timeouts, as the credentials
/// of an instance do, has another.
#[derive(Debug, Default)]
struct PerSettings(Mutex<BTreeMap<[Option<Duration>; 2], SharedHttpConnector>>);

impl PerSettings {
    fn get(
        &self,
        settings: &HttpConnectorSettings,
        make: impl FnOnce() -> SharedHttpConnector,
    ) -> SharedHttpConnector {
        let timeouts = [settings.connect_timeout(), settings.read_timeout()];
        let mut connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.entry(timeouts).or_insert_with(make).clone()
    }
}

/// A client as the SDK makes it, timeouts and proxies included, up to the kind of its connections.
fn client(make: impl Fn(ConnectorBuilder) -> Connector + Send + Sync + 'static) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        make(connector.proxy_config(ProxyConfig::from_env()))
    })
}

fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("is not in PEM format: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(())
}

/// A client that takes any certificate; whoever is in between can then read and change everything.
pub(super) fn trusting_anyone() -> Result<SharedHttpClient, RegistryError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| RegistryError::new(Kind::Configuration, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(SharedHttpClient::new(TrustingAnyone {
        config,
        connectors: PerSettings::default(),
    }))
}

#[derive(Debug)]
struct TrustingAnyone {
    config: ClientConfig,
    connectors: PerSettings,
}

impl HttpClient for TrustingAnyone {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let make = || SharedHttpConnector::new(AnyServer::new(settings.clone(), self.config.clone()));
        self.connectors.get(settings, make)
    }
}

#[derive(Debug)]
struct AnyServer {
    settings: HttpConnectorSettings,
    client: legacy::Client<HttpsConnector<Route>, SdkBody>,
}

impl AnyServer {
    fn new(settings: HttpConnectorSettings, config: ClientConfig) -> Self {
        let mut direct = legacy::connect::HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(settings.connect_timeout());
        let route = Route {
            direct,
            proxies: Arc::new(Matcher::from_env()),
        };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(HttpsConnector::from((route, config)));
        Self { settings, client }
    }
}

impl HttpConnector for AnyServer {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let (answer, read_timeout) = (self.client.request(request), self.settings.read_timeout());
        HttpConnectorFuture::new(async move {
            let answer = match read_timeout {
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .map_err(|error| ConnectorError::timeout(error.into()))?,
                None => answer.await,
            };
            let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The way to a server: straight, or through the proxy that the environment names for it.
#[derive(Debug, Clone)]
struct Route {
    direct: legacy::connect::HttpConnector,
    proxies: Arc<Matcher>,
}

impl tower_service::Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Some(proxy) = self.proxies.intercept(&server) else {
            let connecting = self.direct.call(server);
            return Box::pin(async move { connecting.await.map_err(Into::into) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = tunnel.call(server);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::config::timeout::TimeoutConfig;
    use aws_sdk_ecr::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_ecr::{Client, Config};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn each_user_of_a_client_keeps_its_own_timeouts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        for http_client in [trusting_anyone().unwrap(), ready_when_needed()] {
            let client = |read_timeout| {
                let timeouts = TimeoutConfig::builder().read_timeout(read_timeout).build();
                let config = Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::from_static("eu-west-1"))
                    .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
                    .endpoint_url(&endpoint)
                    .http_client(http_client.clone())
                    .retry_config(aws_sdk_ecr::config::retry::RetryConfig::disabled())
                    .timeout_config(timeouts);
                Client::from_conf(config.build())
            };
            let [hasty, patient] = [Duration::from_millis(50), Duration::from_mins(1)].map(client);
            assert!(hasty.describe_repositories().send().await.is_err());
            let waiting = patient.describe_repositories().send();
            let waited = tokio::time::timeout(Duration::from_millis(500), waiting).await;
            assert!(waited.is_err(), "it took over the timeout of another");
        }
    }
}
