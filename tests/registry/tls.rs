//! A server whose certificate only its own authority vouches for.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecr_retag::plan;
use ecr_retag::registry::{ConnectOptions, Kind, RegistryError, connect};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use crate::support::list_once;

/// Made for these tests, good until 2126, and trusted by nobody.
const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBmjCCAT+gAwIBAgIUQsPGaQiSaNtB+yhqdxrtYuZZHgYwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIzMTkyNDUwWhgPMjEy
NjEwMzAxOTI0NTBaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAExfqlULHmEDnqhE0/IalfvGuZFNFz7+8qy5DB69VM
f7hYja+oMq4uG1/RvWH/5AOjn0ST92fJptcqslJ6qtnrHaNjMGEwHQYDVR0OBBYE
FJn63KhexjhDwPOvoHLXnlogK/wtMB8GA1UdIwQYMBaAFJn63KhexjhDwPOvoHLX
nlogK/wtMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49
BAMCA0kAMEYCIQDB6p+n/93oMSEZ6cHmsRQh0XzvfedgBnB87e2ifzOhgQIhAKbc
IZAOZC8R5O4g4QbleUHXFCXIKILMj+DkAoLxIR78
-----END CERTIFICATE-----
";

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBqTCCAU+gAwIBAgIUHLEaWRmAxm2HfChYp+ouET2ynUowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIzMTkyNDUwWhgPMjEy
NjEwMzAxOTI0NTBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABAgEEIh1kr5n84RFt8DSVjXMTK911fVszPWCvF9JnfhpGF++
6Cd848SQVhK69sG+Hgb31D1704IeRdrom35cLEWjeDB2MBQGA1UdEQQNMAuCCWxv
Y2FsaG9zdDAJBgNVHRMEAjAAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQW
BBSNSReT80AZ+mefLw0vwiWCzXwUgDAfBgNVHSMEGDAWgBSZ+tyoXsY4Q8Dzr6By
155aICv8LTAKBggqhkjOPQQDAgNIADBFAiAJ2N8jcu2Qq5p4kH+m7JQv1nrbT5NG
rot9Le+UqdvNzwIhAO8/M1x4XsBf8Wszh0InX3pRGuiSd2Ntp5f9JQ9Ut+Vv
-----END CERTIFICATE-----
";

const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWBKJvLfjDru37K+i
hZI0hO5TD9pwTFvV7qnb4ZhHH0qhRANCAAQIBBCIdZK+Z/OERbfA0lY1zEyvddX1
bMz1grxfSZ34aRhfvugnfOPEkFYSuvbBvh4G99Q9e9OCHkXa6Jt+XCxF
-----END PRIVATE KEY-----
";

/// Answers every request on a connection with an empty list; gives the endpoint.
async fn serve() -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = vec![0; 65_536];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"imageIds\":[]}";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    endpoint
}

async fn reach(endpoint: &str, adjust: impl FnOnce(&mut ConnectOptions)) -> Result<(), RegistryError> {
    let mut options = ConnectOptions {
        region: Some("us-east-1".parse().unwrap()),
        endpoint_url: Some(endpoint.to_owned()),
        no_sign_request: true,
        connect_timeout: Duration::from_secs(10),
        ..ConnectOptions::default()
    };
    adjust(&mut options);
    list_once(&connect(&plan::Registry::default(), &options).await?).await
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_way_out_named() {
    let error = reach(&serve().await, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Configuration);
    let text = error.to_string();
    assert!(
        text.starts_with("the server's certificate is not trusted: "),
        "{text}"
    );
    assert!(error.help().unwrap().contains("--ca-bundle"));
}

#[tokio::test]
async fn an_authority_can_be_named() {
    let (endpoint, bundle) = (serve().await, file(AUTHORITY));
    let named = |options: &mut ConnectOptions| options.ca_bundle = Some(bundle.path().to_owned());
    reach(&endpoint, named).await.unwrap();
}

#[tokio::test]
async fn any_certificate_can_be_taken() {
    let endpoint = serve().await;
    reach(&endpoint, |options| options.no_verify_ssl = true)
        .await
        .unwrap();
    let unreachable = |options: &mut ConnectOptions| {
        options.no_verify_ssl = true;
        options.endpoint_url = Some("https://localhost:1".to_owned());
    };
    let error = reach(&endpoint, unreachable).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
}

#[tokio::test]
async fn a_bundle_that_is_none_is_said_to_be() {
    let with = async |path: &Path| {
        let named = |options: &mut ConnectOptions| options.ca_bundle = Some(path.to_owned());
        let error = reach("https://localhost:1", named).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Configuration);
        error.to_string()
    };
    assert!(
        with(Path::new("no/such/file.pem"))
            .await
            .contains("cannot be read")
    );
    assert!(with(file("").path()).await.contains("holds no certificate"));
    let broken = AUTHORITY.replace("MIIB", "AAAA");
    assert!(
        with(file(&broken).path())
            .await
            .contains("holds a certificate that cannot be used")
    );
}
