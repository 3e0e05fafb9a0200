//! A sandbox as the HTTP client of an AWS SDK: no socket, no thread, and time that a test can pause.

use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};

use super::{Outcome, Sandbox};

#[derive(Debug)]
struct Connector {
    sandbox: Sandbox,
    read_timeout: Option<Duration>,
}

impl Sandbox {
    /// An HTTP client for the configuration of an SDK client; whatever endpoint it calls, this sandbox answers.
    ///
    /// A broken connection is an I/O error, and the client's read timeout is kept.
    pub fn http_client(&self) -> SharedHttpClient {
        let sandbox = self.clone();
        http_client_fn(move |settings, _| {
            SharedHttpConnector::new(Connector {
                sandbox: sandbox.clone(),
                read_timeout: settings.read_timeout(),
            })
        })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sandbox = self.sandbox.clone();
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let exchange = exchange(sandbox, request);
            match read_timeout {
                None => exchange.await,
                Some(limit) => tokio::time::timeout(limit, exchange)
                    .await
                    .unwrap_or_else(|elapsed| Err(ConnectorError::timeout(elapsed.into()))),
            }
        })
    }
}

async fn exchange(sandbox: Sandbox, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
    let response = match sandbox.answer(http::Request::from_parts(parts, body)).await {
        Outcome::Answered(response) => response.map(SdkBody::from),
        Outcome::Truncated(response) => response.map(|body| truncated(&body)),
        Outcome::Dropped => {
            let error = io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the connection was closed before a response came",
            );
            return Err(ConnectorError::io(error.into()));
        }
    };
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// A body that breaks off in the middle.
fn truncated(body: &Bytes) -> SdkBody {
    let half = body.slice(..body.len() / 2);
    let error = io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection was closed within the body",
    );
    SdkBody::from_body_1_x(StreamBody::new(stream::iter([Ok(Frame::data(half)), Err(error)])))
}
