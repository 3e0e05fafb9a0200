//! ListImages, DescribeImages and BatchGetImage.

use std::collections::BTreeSet;

use ecr_retag::model::Digest;
use ecr_retag::sandbox::seed::Kind;
use ecr_retag::sandbox::state::{MediaType, State};
use serde_json::{Value, json};

use crate::support::*;

fn many() -> State {
    planted(
        "
repositories:
  - names: [shop/api]
    histories:
      - scheme: { numbered: { name: 'b{n}', from: 1, count: 1250 } }
        also: [edge]
    tags: { zebra: b3, aardvark: b3 }
",
    )
}

fn archive(state: &mut State, tag: &str) {
    let request = json!({
        "repositoryName": "shop/api",
        "imageId": { "imageTag": tag },
        "targetStorageClass": "ARCHIVE",
    });
    call(state, "UpdateImageStorageClass", &request).unwrap();
}

/// All pages of a list, and their lengths.
fn pages(state: &mut State, operation: &str, list: &str, request: &Value) -> (Vec<Value>, Vec<usize>) {
    let mut request = request.clone();
    let (mut entries, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let mut answer = call(state, operation, &request).unwrap();
        let mut page = std::mem::take(answer[list].as_array_mut().unwrap());
        lengths.push(page.len());
        entries.append(&mut page);
        match answer.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => return (entries, lengths),
        }
    }
}

#[test]
fn list_images_has_an_entry_for_each_tag_and_each_untagged_image() {
    let mut state = planted(SMALL);
    let (one, two) = {
        let images: Vec<Digest> = repository(&state, "shop/api")
            .images()
            .map(|image| image.digest)
            .collect();
        (images[0].to_string(), images[1].to_string())
    };
    let mut list = |filter: Value| {
        let request = json!({ "repositoryName": "shop/api", "filter": filter });
        call(&mut state, "ListImages", &request).unwrap()["imageIds"].take()
    };
    let tagged = json!([
        { "imageDigest": one, "imageTag": "1.0.0" },
        { "imageDigest": one, "imageTag": "stable" },
    ]);
    let untagged = json!([{ "imageDigest": two }]);
    assert_eq!(list(json!({ "tagStatus": "TAGGED" })), tagged);
    assert_eq!(list(json!({ "tagStatus": "UNTAGGED" })), untagged);
    for all in [Value::Null, json!({}), json!({ "tagStatus": "ANY" })] {
        let expected: Vec<Value> = [&tagged, &untagged]
            .into_iter()
            .flat_map(|ids| ids.as_array().unwrap().clone())
            .collect();
        assert_eq!(list(all), Value::Array(expected));
    }
}

#[test]
fn pages_have_a_hundred_entries_and_a_thousand_at_most() {
    let mut state = many();
    for (operation, list, entries) in [
        ("ListImages", "imageIds", 1253),
        ("DescribeImages", "imageDetails", 1250),
    ] {
        let mut lengths = |max: Value| {
            let request = json!({ "repositoryName": "shop/api", "maxResults": max });
            let (all, lengths) = pages(&mut state, operation, list, &request);
            assert_eq!(all.len(), entries);
            let distinct: BTreeSet<String> = all.iter().map(Value::to_string).collect();
            assert_eq!(distinct.len(), entries);
            lengths
        };
        assert_eq!(lengths(Value::Null)[0], 100);
        assert_eq!(lengths(json!(1000)), [1000, entries - 1000]);
        assert_eq!(lengths(json!(1)).len(), entries);
        assert_eq!(lengths(json!(entries / 7))[0], entries / 7);
        for bad in [json!(0), json!(1001), json!(-1)] {
            let request = json!({ "repositoryName": "shop/api", "maxResults": bad });
            assert_eq!(
                code(&mut state, operation, &request),
                "InvalidParameterException",
                "{bad}"
            );
        }
    }
}

#[test]
fn a_page_may_end_within_an_image() {
    let mut state = many();
    // b3 has three tags; pages of one end behind each of them.
    let request = json!({ "repositoryName": "shop/api", "maxResults": 1 });
    let (ids, _) = pages(&mut state, "ListImages", "imageIds", &request);
    let tags: Vec<&str> = ids[2..5]
        .iter()
        .map(|id| id["imageTag"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["aardvark", "b3", "zebra"]);
}

#[test]
fn tokens_are_good_for_their_list_only() {
    let mut state = many();
    state.seed_repository(
        &owner(),
        &name("shop/web"),
        ecr_retag::model::Mutability::Mutable,
        now(),
    );
    let token =
        |state: &mut State, request: Value| call(state, "ListImages", &request).unwrap()["nextToken"].take();
    let good = token(&mut state, json!({ "repositoryName": "shop/api" }));
    for (repository, filter, token) in [
        ("shop/web", Value::Null, good.clone()),
        ("shop/api", json!({ "tagStatus": "TAGGED" }), good.clone()),
        ("shop/api", Value::Null, json!("nonsense")),
        ("shop/api", Value::Null, json!("")),
    ] {
        let request = json!({ "repositoryName": repository, "filter": filter, "nextToken": token });
        assert_eq!(
            code(&mut state, "ListImages", &request),
            "InvalidParameterException"
        );
    }
    let request = json!({ "repositoryName": "shop/api", "nextToken": good });
    assert_eq!(
        code(&mut state, "DescribeImages", &request),
        "InvalidParameterException"
    );
    call(&mut state, "ListImages", &request).unwrap();
}

#[test]
fn tags_that_move_between_pages_do_no_harm() {
    let mut state = many();
    let request = json!({ "repositoryName": "shop/api", "maxResults": 4 });
    let first = call(&mut state, "ListImages", &request).unwrap();
    let image = tagged(&state, "b900").clone();
    for moved in ["b3", "zebra", "aardvark", "b4"] {
        call(&mut state, "PutImage", &put(&image, moved)).unwrap();
    }
    let rest = json!({ "repositoryName": "shop/api", "maxResults": 1000, "nextToken": first["nextToken"] });
    let (ids, _) = pages(&mut state, "ListImages", "imageIds", &rest);
    assert!(ids.iter().any(|id| id["imageTag"] == "b3"));
    assert!(ids.iter().any(|id| id["imageTag"] == "b1250"));
}

#[test]
fn archived_images_are_hidden_unless_asked_for() {
    let mut state = planted(SMALL);
    archive(&mut state, "stable");
    for (status, listed) in [
        (Value::Null, 1),
        (json!("ACTIVE"), 1),
        (json!("ARCHIVED"), 2),
        (json!("ACTIVATING"), 0),
        (json!("ANY"), 3),
    ] {
        let request = json!({ "repositoryName": "shop/api", "filter": { "imageStatus": status } });
        let answer = call(&mut state, "ListImages", &request).unwrap();
        assert_eq!(answer["imageIds"].as_array().unwrap().len(), listed, "{status}");
    }
    let request = |filter: Value| json!({ "repositoryName": "shop/api", "imageIds": [{ "imageTag": "stable" }], "filter": filter });
    assert_eq!(
        code(&mut state, "DescribeImages", &request(Value::Null)),
        "ImageNotFoundException"
    );
    let any = request(json!({ "imageStatus": "ANY" }));
    let answer = call(&mut state, "DescribeImages", &any).unwrap();
    assert_eq!(answer["imageDetails"][0]["imageStatus"], "ARCHIVED");
    assert!(answer["imageDetails"][0]["lastArchivedAt"].is_number());
    let bad = json!({ "repositoryName": "shop/api", "filter": { "imageStatus": "GONE" } });
    assert_eq!(code(&mut state, "ListImages", &bad), "InvalidParameterException");
}

#[test]
fn describe_images_tells_all() {
    let mut state = planted(SMALL);
    let request = json!({ "repositoryName": "shop/api" });
    let answer = call(&mut state, "DescribeImages", &request).unwrap();
    let image = tagged(&state, "stable");
    assert_eq!(
        answer["imageDetails"][0],
        json!({
            "registryId": "123456789012",
            "repositoryName": "shop/api",
            "imageDigest": image.digest.to_string(),
            "imageTags": ["1.0.0", "stable"],
            "imageSizeInBytes": image.size_bytes,
            "imagePushedAt": 1_704_067_200.0,
            "imageManifestMediaType": MediaType::DockerManifest.as_str(),
            "artifactMediaType": "application/vnd.docker.container.image.v1+json",
            "imageStatus": "ACTIVE",
        })
    );
    assert_eq!(answer["imageDetails"][1].get("imageTags"), None);
}

#[test]
fn describe_images_knows_artifacts_and_subjects() {
    let mut state = planted("repositories: [{ names: [shop/api], image: artifact, tags: { sbom: sbom } }]");
    let request = json!({ "repositoryName": "shop/api", "imageIds": [{ "imageTag": "sbom" }] });
    let answer = call(&mut state, "DescribeImages", &request).unwrap();
    let detail = &answer["imageDetails"][0];
    assert_eq!(detail["artifactMediaType"], "application/spdx+json");
    let subject = repository(&state, "shop/api").images().next().unwrap().digest;
    assert_eq!(detail["subjectManifestDigest"], subject.to_string());
}

#[test]
fn describe_images_fails_as_a_whole_if_an_id_is_missing() {
    let mut state = planted(SMALL);
    let request = json!({
        "repositoryName": "shop/api",
        "imageIds": [{ "imageTag": "stable" }, { "imageTag": "none" }],
    });
    assert_eq!(
        message(&mut state, "DescribeImages", &request),
        "The image with imageId {imageDigest:'null', imageTag:'none'} does not exist within the repository with name \
         'shop/api' in the registry with id '123456789012'"
    );
    assert_eq!(
        code(&mut state, "DescribeImages", &request),
        "ImageNotFoundException"
    );
    // Two tags of one image are one entry.
    let request = json!({
        "repositoryName": "shop/api",
        "imageIds": [{ "imageTag": "stable" }, { "imageTag": "1.0.0" }],
    });
    let answer = call(&mut state, "DescribeImages", &request).unwrap();
    assert_eq!(answer["imageDetails"].as_array().unwrap().len(), 1);
}

#[test]
fn ids_are_one_to_a_hundred_and_exclude_paging() {
    let mut state = many();
    let ids = |count: usize| -> Value {
        (1..=count)
            .map(|n| json!({ "imageTag": format!("b{n}") }))
            .collect()
    };
    for (operation, list) in [("DescribeImages", "imageDetails"), ("BatchGetImage", "images")] {
        let request = |ids: Value| json!({ "repositoryName": "shop/api", "imageIds": ids });
        let answer = call(&mut state, operation, &request(ids(100))).unwrap();
        assert_eq!(answer[list].as_array().unwrap().len(), 100);
        for count in [0, 101] {
            assert_eq!(
                code(&mut state, operation, &request(ids(count))),
                "InvalidParameterException"
            );
        }
    }
    for (member, value) in [("maxResults", json!(10)), ("nextToken", json!("x"))] {
        let mut request = json!({ "repositoryName": "shop/api", "imageIds": ids(1) });
        request[member] = value;
        assert_eq!(
            code(&mut state, "DescribeImages", &request),
            "InvalidParameterException"
        );
    }
    let request = json!({ "repositoryName": "shop/api" });
    assert_eq!(
        code(&mut state, "BatchGetImage", &request),
        "InvalidParameterException"
    );
}

#[test]
fn batch_get_image_answers_each_id() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    let other = repository(&state, "shop/api").images().nth(1).unwrap().digest;
    let absent = format!("sha256:{}", "0".repeat(64));
    let request = json!({
        "repositoryName": "shop/api",
        "imageIds": [
            { "imageTag": "stable" },
            { "imageTag": "1.0.0" },
            { "imageTag": "stable" },
            { "imageDigest": image.digest.to_string() },
            { "imageTag": "none" },
            { "imageDigest": absent },
            { "imageDigest": "sha256:xyz" },
            { "imageTag": "a/b" },
            {},
            { "imageDigest": other.to_string(), "imageTag": "stable" },
            { "imageDigest": image.digest.to_string(), "imageTag": "stable" },
        ],
    });
    let answer = call(&mut state, "BatchGetImage", &request).unwrap();
    let images = answer["images"].as_array().unwrap();
    let ids: Vec<&Value> = images.iter().map(|image| &image["imageId"]["imageTag"]).collect();
    assert_eq!(
        ids,
        [&json!("stable"), &json!("1.0.0"), &Value::Null, &json!("stable")]
    );
    for answered in images {
        assert_eq!(answered["imageManifest"], &*image.manifest);
        assert_eq!(answered["imageId"]["imageDigest"], image.digest.to_string());
        assert_eq!(answered["imageManifestMediaType"], image.media_type.as_str());
    }
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
            "ImageNotFound",
            "InvalidImageDigest",
            "InvalidImageTag",
            "MissingDigestAndTag",
            "ImageTagDoesNotMatchDigest",
        ]
    );
    assert_eq!(answer["failures"][0]["imageId"], json!({ "imageTag": "none" }));
}

#[test]
fn batch_get_image_converts_by_tag_and_never_by_digest() {
    let docker = MediaType::DockerManifest;
    let oci = MediaType::OciManifest;
    let none = "ImageNotFound";
    // Stored as, accepted, answered by tag: the type, or the failure.
    for (kind, accepted, expected) in [
        (Kind::Docker, Some(vec![docker, oci]), Ok(docker)),
        (Kind::Docker, Some(vec![oci]), Ok(oci)),
        (Kind::Docker, Some(vec![MediaType::OciIndex]), Err(none)),
        (Kind::Docker, None, Ok(docker)),
        (Kind::Oci, Some(vec![docker]), Ok(docker)),
        (Kind::Oci, Some(vec![oci]), Ok(oci)),
        (Kind::Bare, Some(vec![docker]), Ok(docker)),
        (Kind::OciIndex, Some(vec![docker, oci]), Err(none)),
        (
            Kind::OciIndex,
            Some(vec![MediaType::OciIndex]),
            Ok(MediaType::OciIndex),
        ),
        (Kind::OciIndex, Some(vec![MediaType::DockerList]), Err(none)),
        (Kind::DockerList, Some(vec![docker]), Err(none)),
        (Kind::DockerList, None, Ok(MediaType::DockerList)),
    ] {
        let yaml = "repositories: [{ names: [shop/api], image: KIND, tags: { x: x } }]";
        let kind_text = serde_json::to_value(kind).unwrap();
        let mut state = planted(&yaml.replace("KIND", kind_text.as_str().unwrap()));
        let stored = tagged(&state, "x").clone();
        let mut request = json!({ "repositoryName": "shop/api", "imageIds": [{ "imageTag": "x" }] });
        if let Some(accepted) = &accepted {
            request["acceptedMediaTypes"] = accepted.iter().map(|media_type| media_type.as_str()).collect();
        }
        let answer = call(&mut state, "BatchGetImage", &request).unwrap();
        match expected {
            Err(expected) => assert_eq!(answer["failures"][0]["failureCode"], expected),
            Ok(media_type) => {
                let image = &answer["images"][0];
                let manifest = image["imageManifest"].as_str().unwrap();
                assert_eq!(image["imageManifestMediaType"], media_type.as_str());
                assert_eq!(
                    image["imageId"]["imageDigest"],
                    Digest::of(manifest.as_bytes()).to_string()
                );
                let is_stored = manifest == &*stored.manifest;
                assert_eq!(
                    is_stored,
                    media_type == stored.media_type,
                    "{kind:?} {accepted:?}"
                );
            }
        }
        request["imageIds"] = json!([{ "imageDigest": stored.digest.to_string() }]);
        let answer = call(&mut state, "BatchGetImage", &request).unwrap();
        assert_eq!(answer["images"][0]["imageManifest"], &*stored.manifest);
    }
}

#[test]
fn a_converted_manifest_is_a_new_image() {
    let mut state = planted(SMALL);
    let request = json!({
        "repositoryName": "shop/api",
        "imageIds": [{ "imageTag": "stable" }],
        "acceptedMediaTypes": [MediaType::OciManifest.as_str()],
    });
    let answer = call(&mut state, "BatchGetImage", &request).unwrap();
    let put = json!({
        "repositoryName": "shop/api",
        "imageManifest": answer["images"][0]["imageManifest"],
        "imageTag": "new",
    });
    call(&mut state, "PutImage", &put).unwrap();
    assert_eq!(repository(&state, "shop/api").image_count(), 3);
    assert_ne!(tags(&state)["new"], tags(&state)["stable"]);
}

#[test]
fn an_archived_image_can_not_be_pulled() {
    let mut state = planted(SMALL);
    archive(&mut state, "stable");
    let digest = tagged(&state, "stable").digest.to_string();
    let request = json!({
        "repositoryName": "shop/api",
        "imageIds": [{ "imageTag": "stable" }, { "imageDigest": digest }],
    });
    let answer = call(&mut state, "BatchGetImage", &request).unwrap();
    for failure in answer["failures"].as_array().unwrap() {
        assert_eq!(failure["failureCode"], "ImageInaccessible");
    }
    assert_eq!(answer["failures"].as_array().unwrap().len(), 2);
}

#[test]
fn a_pull_is_recorded_once_a_day() {
    let mut state = planted(SMALL);
    let revision = state.revision();
    let ids = json!({ "repositoryName": "shop/api", "imageIds": [{ "imageTag": "stable" }] });
    let mut pulled_at = |hours: i64| {
        let time = now() + jiff::SignedDuration::from_hours(hours);
        state.handle("BatchGetImage", &ids, &owner(), time).unwrap();
        let answer = state.handle("DescribeImages", &ids, &owner(), time).unwrap();
        answer["imageDetails"][0]["lastRecordedPullTime"]
            .as_f64()
            .unwrap()
    };
    let first = pulled_at(0);
    assert!((pulled_at(23) - first).abs() < 1.0);
    assert!((pulled_at(24) - first - 86_400.0).abs() < 1.0);
    assert_eq!(state.revision(), revision);
}

#[test]
fn a_missing_repository_fails_every_read() {
    let mut state = planted(SMALL);
    let request = json!({ "repositoryName": "shop/none", "imageIds": [{ "imageTag": "x" }] });
    for operation in [
        "ListImages",
        "DescribeImages",
        "BatchGetImage",
        "BatchDeleteImage",
    ] {
        assert_eq!(
            code(&mut state, operation, &request),
            "RepositoryNotFoundException"
        );
    }
}
