//! Requests as they come over the wire, good and bad.

use ecr_retag::sandbox::{Outcome, Sandbox};
use http::{Request, Response};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::support::*;

/// A signed request; `headers` replace or add to those of a good one, an empty value takes one away.
fn request(operation: &str, body: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260501/us-east-1/ecr/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-target, Signature={}",
        "0".repeat(64)
    );
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
    let good = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-date", "20260501T120000Z"),
        ("x-amz-target", &target),
    ];
    let mut request = Request::post("/").body(Bytes::from(body.to_owned())).unwrap();
    for (name, value) in good.into_iter().chain(headers.iter().copied()) {
        let name: http::HeaderName = name.parse().unwrap();
        if value.is_empty() {
            request.headers_mut().remove(name);
        } else {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    request
}

async fn answer(sandbox: &Sandbox, request: Request<Bytes>) -> (Response<Bytes>, Value) {
    let Outcome::Answered(response) = sandbox.answer(request).await else {
        panic!("no answer");
    };
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response, body)
}

#[tokio::test]
async fn answers_look_like_those_of_aws() {
    let sandbox = sandbox(SMALL);
    let (response, body) = answer(&sandbox, request("DescribeRepositories", "{}", &[])).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(header("date"), "Fri, 01 May 2026 12:00:00 GMT");
    assert_eq!(header("x-amzn-requestid"), "00000000-0000-4000-8000-000000000001");
    assert_eq!(body["repositories"][0]["repositoryName"], "shop/api");
    let (response, body) = answer(&sandbox, request("ListImages", "{}", &[])).await;
    assert_eq!(response.status(), 400);
    assert_eq!(
        body,
        json!({
            "__type": "InvalidParameterException",
            "message": "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must not be null'",
        })
    );
    assert_eq!(
        response.headers()["x-amzn-requestid"],
        "00000000-0000-4000-8000-000000000002"
    );
}

#[tokio::test]
async fn bad_requests_are_errors_and_change_nothing() {
    let sandbox = sandbox(SMALL);
    for (request, status, code) in [
        (
            request("ListImages", "{}", &[("authorization", "")]),
            400,
            "MissingAuthenticationTokenException",
        ),
        (
            request("ListImages", "{}", &[("authorization", "Bearer x")]),
            400,
            "IncompleteSignatureException",
        ),
        (
            request(
                "ListImages",
                "{}",
                &[(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=y, Signature=z",
                )],
            ),
            400,
            "IncompleteSignatureException",
        ),
        (
            request("ListImages", "{}", &[("x-amz-date", "20260430T000000Z")]),
            400,
            "InvalidSignatureException",
        ),
        (request("ListImages", "", &[]), 400, "SerializationException"),
        (request("ListImages", "[", &[]), 400, "SerializationException"),
        (request("ListImages", "\u{0}", &[]), 400, "SerializationException"),
        (request("Nonsense", "{}", &[]), 400, "UnknownOperationException"),
        (
            request("", "{}", &[("x-amz-target", "")]),
            400,
            "UnknownOperationException",
        ),
        (
            request("x", "{}", &[("x-amz-target", "a b/c")]),
            400,
            "UnknownOperationException",
        ),
    ] {
        let (response, body) = answer(&sandbox, request).await;
        assert_eq!(response.status(), status, "{body}");
        assert_eq!(body["__type"], code);
    }
    assert!(sandbox.calls().iter().all(|call| !call.took_effect));
}

#[tokio::test]
async fn a_signature_for_another_service_is_refused() {
    let sandbox = sandbox(SMALL);
    let mut asked = request("ListImages", "{}", &[]);
    let signed = asked.headers()["authorization"]
        .to_str()
        .unwrap()
        .replace("/ecr/", "/sts/");
    asked
        .headers_mut()
        .insert("authorization", signed.parse().unwrap());
    let (_, body) = answer(&sandbox, asked).await;
    assert_eq!(body["__type"], "InvalidSignatureException");
}

#[tokio::test]
async fn the_log_says_what_was_called() {
    let sandbox = sandbox(SMALL);
    let image = sandbox.with_state(|state| tagged(state, "stable").clone());
    let put = put(&image, "new").to_string();
    answer(&sandbox, request("PutImage", &put, &[])).await;
    answer(&sandbox, request("PutImage", &put, &[])).await;
    let get = json!({
        "repositoryName": "shop/api",
        "imageIds": [{ "imageTag": "a" }, { "imageDigest": "d" }],
    });
    answer(&sandbox, request("BatchGetImage", &get.to_string(), &[])).await;
    let calls = sandbox.calls();
    assert_eq!(
        calls.iter().map(|call| call.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(calls[0].operation, "PutImage");
    assert_eq!(calls[0].repository, Some(name("shop/api")));
    assert_eq!(calls[0].tags, ["new"]);
    assert_eq!(calls[0].digests, [image.digest.to_string()]);
    assert_eq!((calls[0].status, calls[0].took_effect), (Some(200), true));
    assert_eq!(calls[0].caller, Some(owner()));
    assert_eq!((calls[1].status, calls[1].took_effect), (Some(400), false));
    assert_eq!(calls[1].code.as_deref(), Some("ImageAlreadyExistsException"));
    assert_eq!(calls[2].tags, ["a"]);
    assert_eq!(calls[2].digests, ["d"]);
    let tally = &sandbox.tallies()["PutImage"];
    assert_eq!((tally.calls, tally.took_effect), (2, 1));
    assert_eq!(tally.errors["ImageAlreadyExistsException"], 1);
    sandbox.remember_calls(1);
    answer(&sandbox, request("ListImages", "{}", &[])).await;
    assert_eq!(sandbox.calls().len(), 1);
    assert_eq!(sandbox.calls_after(3).len(), 1);
    assert_eq!(sandbox.tallies()["PutImage"].calls, 2);
}

#[tokio::test]
async fn a_running_sandbox_is_controlled_over_http() {
    let sandbox = sandbox(SMALL);
    let control = |method: &str, path: &str, body: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .body(Bytes::from(body.to_owned()))
            .unwrap()
    };
    for (method, path, body, status) in [
        (
            "POST",
            "/_sandbox/faults",
            "rules: [{ match: { operation: ListImages }, times: 1, action: deny }]",
            200,
        ),
        ("POST", "/_sandbox/faults", "rules: 7", 400),
        ("POST", "/_sandbox/faults", "rulez: []", 400),
        (
            "POST",
            "/_sandbox/quota",
            r#"{"operation":"PutImage","per_second":25}"#,
            200,
        ),
        ("POST", "/_sandbox/quota", r#"{"per_second":25}"#, 400),
        ("POST", "/_sandbox/latency", r#"{"ms":0}"#, 200),
        ("POST", "/_sandbox/expire", r#"{"access_key":"AKIAOLD"}"#, 200),
        (
            "POST",
            "/_sandbox/grant",
            r#"{"owner":"123456789012","caller":"111111111111"}"#,
            200,
        ),
        ("POST", "/_sandbox/grant", r#"{"owner":"1","caller":"2"}"#, 400),
        (
            "POST",
            "/_sandbox/role",
            r#"{"arn":"arn:aws:iam::1:role/x","is_denied":true}"#,
            200,
        ),
        (
            "POST",
            "/_sandbox/blobs",
            r#"{"account":"123456789012","region":"us-east-1","repository":"shop/api","manifest":"{}"}"#,
            400,
        ),
        ("GET", "/_sandbox/nothing", "", 404),
        ("PUT", "/_sandbox/faults", "", 404),
    ] {
        let (response, body) = answer(&sandbox, control(method, path, body)).await;
        assert_eq!(response.status(), status, "{path} {body}");
    }
    let list = r#"{"repositoryName":"shop/api"}"#;
    let (_, body) = answer(&sandbox, request("ListImages", list, &[])).await;
    assert_eq!(body["__type"], "AccessDeniedException");
    let (response, _) = answer(&sandbox, request("ListImages", list, &[])).await;
    assert_eq!(response.status(), 200);
    let (_, calls) = answer(&sandbox, control("GET", "/_sandbox/calls?after=1", "")).await;
    assert_eq!(calls["calls"].as_array().unwrap().len(), 1);
    assert_eq!(calls["calls"][0]["operation"], "ListImages");
    assert_eq!(calls["calls"][0]["caller"], "123456789012/us-east-1");
    let (_, counts) = answer(&sandbox, control("GET", "/_sandbox/state", "")).await;
    assert_eq!(
        counts["registries"][0],
        json!({ "account": "123456789012", "region": "us-east-1", "repositories": 1, "images": 2, "tags": 2 })
    );
    assert_eq!(counts["operations"]["ListImages"]["calls"], 2);
    let (response, _) = answer(&sandbox, control("DELETE", "/_sandbox/faults", "")).await;
    assert_eq!(response.status(), 200);
}

/// Requests of the right shape with wrong values in every place.
#[tokio::test]
async fn nonsense_is_an_error_of_the_client() {
    const OPERATIONS: [&str; 10] = [
        "BatchDeleteImage",
        "BatchGetImage",
        "CreateRepository",
        "DeleteRepository",
        "DescribeImages",
        "DescribeRepositories",
        "ListImages",
        "PutImage",
        "PutImageTagMutability",
        "UpdateImageStorageClass",
    ];
    const MEMBERS: [&str; 16] = [
        "repositoryName",
        "registryId",
        "imageTag",
        "imageDigest",
        "imageManifest",
        "imageManifestMediaType",
        "imageIds",
        "imageId",
        "acceptedMediaTypes",
        "filter",
        "maxResults",
        "nextToken",
        "repositoryNames",
        "imageTagMutability",
        "imageTagMutabilityExclusionFilters",
        "targetStorageClass",
    ];
    let mut rng = fastrand::Rng::with_seed(7);
    let sandbox = sandbox(SMALL);
    for _ in 0..3_000 {
        let mut asked = json!({ "repositoryName": "shop/api" });
        for _ in 0..rng.usize(0..4) {
            asked[MEMBERS[rng.usize(..MEMBERS.len())]] = nonsense(&mut rng, 0);
        }
        let operation = OPERATIONS[rng.usize(..OPERATIONS.len())];
        let (response, body) = answer(&sandbox, request(operation, &asked.to_string(), &[])).await;
        let status = response.status().as_u16();
        assert!(matches!(status, 200 | 400), "{operation} {asked} {status} {body}");
        assert_eq!(body.get("__type").is_some(), status == 400);
    }
}

fn nonsense(rng: &mut fastrand::Rng, depth: u8) -> Value {
    const TEXTS: [&str; 8] = [
        "",
        "é",
        "shop/api",
        "stable",
        "sha256:",
        "MUTABLE",
        "\u{0}",
        "{\"schemaVersion\":2}",
    ];
    match rng.u8(..if depth < 3 { 8 } else { 5 }) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(-2..2_000)),
        3 => json!(rng.f64()),
        4 => json!(TEXTS[rng.usize(..TEXTS.len())]),
        5 | 6 => (0..rng.usize(..4)).map(|_| nonsense(rng, depth + 1)).collect(),
        _ => json!({
            "imageTag": nonsense(rng, depth + 1),
            "imageDigest": nonsense(rng, depth + 1),
            "filter": nonsense(rng, depth + 1),
        }),
    }
}
