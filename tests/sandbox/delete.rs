//! BatchDeleteImage.

use ecr_retag::model::Mutability;
use ecr_retag::sandbox::state::State;
use serde_json::{Value, json};

use crate::support::*;

fn delete(state: &mut State, ids: &Value) -> Value {
    let request = json!({ "repositoryName": "shop/api", "imageIds": ids });
    call(state, "BatchDeleteImage", &request).unwrap()
}

#[test]
fn the_last_tag_takes_the_image_with_it() {
    let mut state = planted(SMALL);
    let digest = tagged(&state, "stable").digest.to_string();
    let answer = delete(&mut state, &json!([{ "imageTag": "stable" }]));
    assert_eq!(
        answer,
        json!({ "imageIds": [{ "imageDigest": digest, "imageTag": "stable" }], "failures": [] })
    );
    assert_eq!(repository(&state, "shop/api").image_count(), 2);
    let answer = delete(&mut state, &json!([{ "imageTag": "1.0.0" }]));
    assert_eq!(
        answer["imageIds"],
        json!([{ "imageDigest": digest, "imageTag": "1.0.0" }])
    );
    assert_eq!(repository(&state, "shop/api").image_count(), 1);
}

#[test]
fn two_tags_in_one_call_take_the_image_too() {
    let mut state = planted(SMALL);
    delete(
        &mut state,
        &json!([{ "imageTag": "stable" }, { "imageTag": "1.0.0" }]),
    );
    assert_eq!(repository(&state, "shop/api").image_count(), 1);
}

#[test]
fn by_digest_all_tags_go() {
    let mut state = planted(SMALL);
    let digest = tagged(&state, "stable").digest.to_string();
    let answer = delete(&mut state, &json!([{ "imageDigest": digest }]));
    assert_eq!(answer["imageIds"].as_array().unwrap().len(), 2);
    assert!(tags(&state).is_empty());
    let untagged = repository(&state, "shop/api")
        .images()
        .next()
        .unwrap()
        .digest
        .to_string();
    let answer = delete(&mut state, &json!([{ "imageDigest": untagged }]));
    assert_eq!(answer["imageIds"], json!([{ "imageDigest": untagged }]));
    assert_eq!(repository(&state, "shop/api").image_count(), 0);
}

#[test]
fn what_fails_is_reported_beside_the_rest() {
    let mut state = planted(SMALL);
    let images: Vec<String> = repository(&state, "shop/api")
        .images()
        .map(|image| image.digest.to_string())
        .collect();
    let answer = delete(
        &mut state,
        &json!([
            { "imageTag": "none" },
            { "imageDigest": images[1], "imageTag": "stable" },
            { "imageDigest": "x" },
            {},
            { "imageDigest": images[0], "imageTag": "stable" },
        ]),
    );
    let codes: Vec<&str> = answer["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["failureCode"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            "ImageNotFound",
            "ImageTagDoesNotMatchDigest",
            "InvalidImageDigest",
            "MissingDigestAndTag"
        ]
    );
    assert_eq!(tags(&state).keys().collect::<Vec<_>>(), ["1.0.0"]);
}

#[test]
fn children_of_an_index_stay() {
    let mut state = planted("repositories: [{ names: [shop/api], image: oci-index, tags: { x: x } }]");
    let index = tagged(&state, "x").digest;
    let child = tagged(&state, "x").children()[0];
    let children = json!([{ "imageDigest": child.to_string() }]);
    let answer = delete(&mut state, &children);
    assert_eq!(
        answer["failures"][0]["failureCode"],
        "ImageReferencedByManifestList"
    );
    // Its last tag stays as well; one of several goes.
    let image = repository(&state, "shop/api").image(&child).unwrap().clone();
    for tag in ["a", "b"] {
        call(&mut state, "PutImage", &put(&image, tag)).unwrap();
    }
    let answer = delete(&mut state, &json!([{ "imageTag": "a" }, { "imageTag": "b" }]));
    assert_eq!(answer["imageIds"].as_array().unwrap().len(), 1);
    assert_eq!(
        answer["failures"][0]["failureCode"],
        "ImageReferencedByManifestList"
    );
    // In the call that deletes the index they stay; in the next they go.
    let both = json!([{ "imageDigest": index.to_string() }, { "imageDigest": child.to_string() }]);
    assert_eq!(
        delete(&mut state, &both)["failures"][0]["failureCode"],
        "ImageReferencedByManifestList"
    );
    assert_eq!(delete(&mut state, &children)["failures"], json!([]));
}

#[test]
fn immutable_tags_can_be_deleted_and_set_again() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    state.seed_repository(&owner(), &name("shop/api"), Mutability::Immutable, now());
    delete(&mut state, &json!([{ "imageTag": "stable" }]));
    call(&mut state, "PutImage", &put(&image, "stable")).unwrap();
}

#[test]
fn a_deleted_image_needs_its_layers_again() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    delete(&mut state, &json!([{ "imageDigest": image.digest.to_string() }]));
    assert_eq!(
        code(&mut state, "PutImage", &put(&image, "stable")),
        "LayersNotFoundException"
    );
}
