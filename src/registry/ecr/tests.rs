use serde_json::{Value, json};

use super::*;
use crate::registry::testing::{ACCOUNT, Scripted, digest, ok};

const OTHER: &str = "999999999999";

async fn turn(registry: &Registry, operation: Operation) -> Turn {
    registry.pace(operation).turn(&CallContext::new(0)).await.unwrap()
}

fn described(account: &str) -> Value {
    json!({"repositories": [{"registryId": account, "repositoryName": "shop/api"}]})
}

async fn describe(registry: &Registry) -> Result<Vec<RepositoryDetail>, RegistryError> {
    let turn = turn(registry, Operation::DescribeRepositories).await;
    registry
        .describe_repositories(turn, &["shop/api".parse().unwrap()])
        .await
}

#[tokio::test]
async fn a_pinned_account_is_sent_and_must_come_back() {
    let server = Scripted::new(|_, _| ok(&described(OTHER)));
    let registry = server.registry(Some(ACCOUNT)).await;
    let error = describe(&registry).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongAccount);
    assert_eq!(
        error.to_string(),
        format!(
            "wrong account in DescribeRepositories: the answer is from the account `{OTHER}`, not from `{ACCOUNT}`"
        )
    );
    assert_eq!(registry.account(), None);
    assert_eq!(
        server.asked()[0].1,
        json!({"registryId": ACCOUNT, "repositoryNames": ["shop/api"]})
    );
}

#[tokio::test]
async fn the_account_is_learnt_and_does_not_change() {
    let server = Scripted::new(|operation, _| match operation {
        "DescribeRepositories" => ok(&described(ACCOUNT)),
        _ => ok(&json!({"imageDetails": [{"registryId": OTHER, "imageDigest": digest("i")}]})),
    });
    let registry = server.registry(None).await;
    describe(&registry).await.unwrap();
    assert_eq!(registry.account().unwrap().as_str(), ACCOUNT);
    let turn = turn(&registry, Operation::DescribeImages).await;
    let repository = "shop/api".parse().unwrap();
    let answer = registry.describe_images(turn, &repository, None).await;
    assert_eq!(answer.unwrap_err().kind(), Kind::WrongAccount);
}

#[tokio::test]
async fn a_put_carries_the_manifest_as_it_is() {
    let server = Scripted::new(|_, _| ok(&json!({"image": {"registryId": ACCOUNT}})));
    let registry = server.registry(Some(ACCOUNT)).await;
    let manifest = "{ \"a\": \"\u{e9}\\u00e9\",\r\n\t\"b\": 1.0 }\n";
    let put = PutImage {
        repository: &"shop/api".parse().unwrap(),
        tag: &"1.8.0".parse().unwrap(),
        digest: Digest::of(manifest.as_bytes()),
        manifest,
        media_type: Some("application/vnd.oci.image.manifest.v1+json"),
    };
    let turn = turn(&registry, Operation::PutImage).await;
    let answer = registry.put_image(turn, put).await.unwrap();
    assert_eq!(answer.request_id.as_deref(), Some("request-1"));
    assert_eq!(
        server.asked()[0].1,
        json!({
            "registryId": ACCOUNT,
            "repositoryName": "shop/api",
            "imageManifest": manifest,
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            "imageTag": "1.8.0",
            "imageDigest": Digest::of(manifest.as_bytes()),
        })
    );
}

#[tokio::test]
async fn removals_are_by_tag_and_say_what_was_not_removed() {
    let server = Scripted::new(|_, _| {
        ok(&json!({
            "imageIds": [{"imageTag": "a", "imageDigest": digest("i")}],
            "failures": [{"imageId": {"imageTag": "b"}, "failureCode": "ImageReferencedByManifestList",
                          "failureReason": "an index needs it"}],
        }))
    });
    let registry = server.registry(None).await;
    let turn = turn(&registry, Operation::BatchDeleteImage).await;
    let tags = ["a", "b"].map(|tag| tag.parse().unwrap());
    let deleted = registry
        .batch_delete_image(turn, &"shop/api".parse().unwrap(), &tags)
        .await
        .unwrap();
    assert_eq!(
        server.asked()[0].1["imageIds"],
        json!([{"imageTag": "a"}, {"imageTag": "b"}])
    );
    assert_eq!(deleted.ids[0].tag.as_ref().unwrap().as_str(), "a");
    assert_eq!(deleted.failures[0].code, FailureCode::Referenced);
}

#[tokio::test]
async fn an_answer_outside_the_grammar_is_an_error() {
    for body in [
        json!({"imageIds": [{"imageTag": "a b", "imageDigest": digest("i")}]}),
        json!({"imageIds": [{"imageTag": "a", "imageDigest": "sha256:1"}]}),
        json!({"imageIds": [{"imageTag": "a"}]}),
    ] {
        let server = Scripted::new(move |_, _| ok(&body));
        let registry = server.registry(None).await;
        let turn = turn(&registry, Operation::ListImages).await;
        let error = registry
            .list_images(turn, &"shop/api".parse().unwrap(), None)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::UnexpectedAnswer);
    }
}
