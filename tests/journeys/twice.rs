//! An image that is asked for by digest and by tag in one call: ECR does not say whether it answers twice.

use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use ecr_retag::sandbox::{Sandbox, State, seed};
use serde_json::Value;

use crate::support::{apply_through, owner, sandbox, tags};

/// Which of the two answers a server leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    Neither,
    ByDigest,
    ByTag,
}

/// A sandbox that answers once.
#[derive(Debug)]
struct AnswersOnce(SharedHttpConnector, LeftOut);

impl HttpConnector for AnswersOnce {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, left_out) = (self.0.call(request), self.1);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut body: Value = serde_json::from_slice(answer.body().bytes().unwrap()).unwrap();
            if let Some(images) = body.get_mut("images").and_then(Value::as_array_mut) {
                leave_out(images, left_out);
            }
            let mut merged = HttpResponse::new(status, SdkBody::from(body.to_string()));
            for (name, value) in headers.iter().filter(|(name, _)| *name != "content-length") {
                merged.headers_mut().append(name.to_owned(), value.to_owned());
            }
            Ok(merged)
        })
    }
}

fn leave_out(images: &mut Vec<Value>, left_out: LeftOut) {
    let ids: Vec<Value> = images.iter().map(|image| image["imageId"].clone()).collect();
    let is_by_tag = |id: &Value| id.get("imageTag").is_some();
    images.retain(|image| {
        let id = &image["imageId"];
        let has_twin = ids
            .iter()
            .any(|other| other["imageDigest"] == id["imageDigest"] && is_by_tag(other) != is_by_tag(id));
        let is_left_out = match left_out {
            LeftOut::Neither => false,
            LeftOut::ByDigest => !is_by_tag(id),
            LeftOut::ByTag => is_by_tag(id),
        };
        !(has_twin && is_left_out)
    });
}

fn answering_once(sandbox: &Sandbox, left_out: LeftOut) -> SharedHttpClient {
    let sandbox = sandbox.http_client();
    http_client_fn(move |settings, components| {
        let connector = sandbox.http_connector(settings, components);
        SharedHttpConnector::new(AnswersOnce(connector, left_out))
    })
}

#[tokio::test]
async fn tags_are_right_however_often_a_registry_answers_for_an_image() {
    let yaml = "repositories:\n- names: [shop/api]\n  images:\n  \
                - { name: a, tags: [blue, a] }\n  - { name: b, tags: [green, b] }\n";
    let swap = "version: 1\nrules:\n- { name: swap, repositories: shop/api, map: { blue: green, green: blue, a: new } }\n";
    // To plan, before the writes, to prove them; a tag that was left out is asked for again.
    for (left_out, calls) in [(LeftOut::Neither, 3), (LeftOut::ByDigest, 3), (LeftOut::ByTag, 4)] {
        let mut state = State::new();
        seed::plant(&seed::parse(yaml).unwrap(), &owner(), &mut state).unwrap();
        let sandbox = sandbox(state);
        let before = tags(&sandbox, "shop/api");
        apply_through(answering_once(&sandbox, left_out), swap).await;
        let after = tags(&sandbox, "shop/api");
        assert_eq!(after["blue"], before["green"], "{left_out:?}");
        assert_eq!(after["green"], before["blue"], "{left_out:?}");
        assert_eq!(after["new"], before["a"], "{left_out:?}");
        assert_eq!(sandbox.tallies()["BatchGetImage"].calls, calls, "{left_out:?}");
    }
}
