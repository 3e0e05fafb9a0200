//! A registry in a few lines, for the tests of this room: it answers what a closure says, and keeps what was asked.

use std::sync::{Arc, Mutex};

use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ConnectOptions, InProcess, Registry, connect};
use crate::model::Digest;
use crate::plan;

/// The account of every scripted registry.
pub(super) const ACCOUNT: &str = "123456789012";

/// A call as it came over the wire: the operation and its parameters.
pub(super) type Asked = (String, Value);

/// What is answered: a status and a body.
pub(super) type Answer = (u16, String);

type Script = dyn Fn(&str, &Value) -> Answer + Send + Sync;

#[derive(Clone)]
pub(super) struct Scripted {
    script: Arc<Script>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(super) fn new(script: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            asked: Arc::default(),
        }
    }

    /// Everything asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often an operation was called.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.asked().iter().filter(|(name, _)| name == operation).count()
    }

    pub(super) fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    pub(super) fn options(&self) -> ConnectOptions {
        ConnectOptions {
            in_process: Some(InProcess {
                http_client: self.http_client(),
                access_key_id: "AKIDEXAMPLE".to_owned(),
                clock: Arc::new(|| Timestamp::UNIX_EPOCH),
            }),
            ..ConnectOptions::default()
        }
    }

    pub(super) async fn registry(&self, account: Option<&str>) -> Registry {
        let access = plan::Access {
            account: account.map(|account| account.parse().unwrap()),
            ..plan::Access::default()
        };
        let registry = plan::Registry {
            access,
            ..plan::Registry::default()
        };
        connect(&registry, &self.options()).await.unwrap()
    }
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let parameters: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, body) = (self.script)(&operation, &parameters);
        self.asked.lock().unwrap().push((operation, parameters));
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        response.headers_mut().insert("x-amzn-requestid", "request-1");
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// A success with this body.
pub(super) fn ok(body: &Value) -> Answer {
    (200, body.to_string())
}

/// An error with this code.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    (status, json!({"__type": code, "message": message}).to_string())
}

/// A digest for this text.
pub(super) fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}
