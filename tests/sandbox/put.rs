//! PutImage.

use ecr_retag::model::Mutability;
use ecr_retag::sandbox::seed::{Kind, make};
use ecr_retag::sandbox::state::{Limits, MediaType, State};
use serde_json::{Value, json};

use crate::support::*;

fn with_mutability(mutability: Mutability) -> State {
    let mut state = planted(SMALL);
    state.seed_repository(&owner(), &name("shop/api"), mutability, now());
    state
}

#[test]
fn a_retag_adds_no_image_and_changes_no_push_time() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    let answer = call(&mut state, "PutImage", &put(&image, "previous")).unwrap();
    assert_eq!(
        answer["image"],
        json!({
            "registryId": "123456789012",
            "repositoryName": "shop/api",
            "imageId": { "imageDigest": image.digest.to_string(), "imageTag": "previous" },
            "imageManifest": &*image.manifest,
            "imageManifestMediaType": image.media_type.as_str(),
        })
    );
    assert_eq!(repository(&state, "shop/api").image_count(), 2);
    assert_eq!(tagged(&state, "previous").pushed_at, image.pushed_at);
    assert_eq!(tags(&state).len(), 3);
}

#[test]
fn a_moved_tag_leaves_the_old_image_untagged() {
    let mut state = planted(SMALL);
    let new = new_image(&mut state, Kind::Oci, "new");
    for moved in ["stable", "1.0.0"] {
        call(&mut state, "PutImage", &push(&new, moved)).unwrap();
    }
    assert!(tags(&state).values().all(|digest| *digest == new.digest()));
    let images: Vec<_> = repository(&state, "shop/api").images().collect();
    assert_eq!(images.len(), 3);
    assert!(images[0].tags().is_empty());
    assert_eq!(images[2].pushed_at, now());
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    let mut state = planted(SMALL);
    let mut request = push(&new_image(&mut state, Kind::Pretty, "new"), "new");
    let answer = call(&mut state, "PutImage", &request).unwrap();
    let digest = ecr_retag::model::Digest::of(request["imageManifest"].as_str().unwrap().as_bytes());
    assert_eq!(answer["image"]["imageId"]["imageDigest"], digest.to_string());
    let shorter = request["imageManifest"].as_str().unwrap().trim_end().to_owned();
    request["imageManifest"] = shorter.into();
    let other = call(&mut state, "PutImage", &request).unwrap();
    assert_ne!(other["image"]["imageId"]["imageDigest"], digest.to_string());
    assert_eq!(repository(&state, "shop/api").image_count(), 4);
}

#[test]
fn the_same_tag_on_the_same_digest_exists_already() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    let request = put(&image, "stable");
    assert_eq!(
        message(&mut state, "PutImage", &request),
        format!(
            "Image with digest '{}' and tag 'stable' already exists in the repository with name 'shop/api' in \
             registry with id '123456789012'",
            image.digest
        )
    );
    assert_eq!(
        code(&mut state, "PutImage", &request),
        "ImageAlreadyExistsException"
    );
    let mut untagged = request;
    untagged["imageTag"] = Value::Null;
    assert_eq!(
        code(&mut state, "PutImage", &untagged),
        "ImageAlreadyExistsException"
    );
}

#[test]
fn an_immutable_tag_is_refused_even_on_its_own_digest() {
    let filters = |filters: &[&str]| filters.iter().map(|&filter| filter.to_owned()).collect();
    for (mutability, stable, version) in [
        (Mutability::Mutable, true, true),
        (Mutability::Immutable, false, false),
        (
            Mutability::ImmutableExcept(filters(&["latest", "sta*"])),
            true,
            false,
        ),
        (Mutability::MutableExcept(filters(&["*.0.*", "2.*"])), true, false),
        (
            Mutability::MutableExcept(filters(&["table", "stabl"])),
            true,
            true,
        ),
    ] {
        let mut state = with_mutability(mutability.clone());
        let same = tagged(&state, "stable").clone();
        let new = new_image(&mut state, Kind::Docker, "new");
        for (text, is_mutable) in [("stable", stable), ("1.0.0", version)] {
            let expected = if is_mutable {
                "ImageAlreadyExistsException"
            } else {
                "ImageTagAlreadyExistsException"
            };
            assert_eq!(
                code(&mut state, "PutImage", &put(&same, text)),
                expected,
                "{mutability:?}"
            );
            let moved = call(&mut state, "PutImage", &push(&new, text)).map_err(|error| error.code);
            assert_eq!(moved.is_ok(), is_mutable, "{mutability:?} {text} {moved:?}");
        }
        // A tag that is new is always taken.
        call(&mut state, "PutImage", &push(&new, "1.0.1")).unwrap();
    }
    let mut state = with_mutability(Mutability::Immutable);
    let request = put(&tagged(&state, "stable").clone(), "stable");
    assert_eq!(
        message(&mut state, "PutImage", &request),
        "The image tag 'stable' already exists in the 'shop/api' repository and cannot be overwritten because the \
         repository is immutable."
    );
}

#[test]
fn a_wrong_digest_is_refused() {
    let mut state = planted(SMALL);
    let mut request = put(&tagged(&state, "stable").clone(), "new");
    for wrong in [format!("sha256:{}", "0".repeat(64)), "nonsense".to_owned()] {
        request["imageDigest"] = wrong.into();
        assert_eq!(
            code(&mut state, "PutImage", &request),
            "ImageDigestDoesNotMatchException"
        );
    }
}

#[test]
fn layers_must_be_in_this_repository() {
    let mut state = planted(SMALL);
    state.seed_repository(&owner(), &name("shop/web"), Mutability::Mutable, now());
    let made = make(Kind::Docker, "shop/api", "new");
    assert_eq!(
        code(&mut state, "PutImage", &push(&made, "new")),
        "LayersNotFoundException"
    );
    // Blobs of another repository do not count.
    state.upload_blobs(&owner(), &name("shop/web"), &made.manifest);
    let error = message(&mut state, "PutImage", &push(&made, "new"));
    assert!(error.starts_with("Layers with digests '[sha256:"), "{error}");
    // The base layer is that of the images that are there: config and one layer are missing.
    assert_eq!(error.matches("sha256:").count(), 2, "{error}");
    state.upload_blobs(&owner(), &name("shop/api"), &made.manifest);
    call(&mut state, "PutImage", &push(&made, "new")).unwrap();
}

#[test]
fn children_must_be_in_this_repository() {
    for kind in [Kind::OciIndex, Kind::DockerList] {
        let mut state = planted(SMALL);
        let index = new_image(&mut state, kind, "new");
        assert_eq!(
            code(&mut state, "PutImage", &push(&index, "new")),
            "ReferencedImagesNotFoundException"
        );
        for child in &index.before {
            let mut request = push(child, "x");
            request["imageTag"] = Value::Null;
            call(&mut state, "PutImage", &request).unwrap();
        }
        call(&mut state, "PutImage", &push(&index, "new")).unwrap();
        let image = tagged(&state, "new");
        let children = image.children().iter();
        let sizes = children.map(|child| repository(&state, "shop/api").image(child).unwrap().size_bytes);
        assert_eq!(image.size_bytes, sizes.max().unwrap());
    }
}

#[test]
fn a_subject_need_not_be_there() {
    let mut state = planted(SMALL);
    let artifact = new_image(&mut state, Kind::Artifact, "new");
    call(&mut state, "PutImage", &push(&artifact, "sbom")).unwrap();
    assert_eq!(
        tagged(&state, "sbom").subject(),
        Some(artifact.before[0].digest())
    );
}

#[test]
fn a_manifest_without_media_type_needs_the_parameter() {
    for kind in [Kind::Bare, Kind::Chart] {
        let mut state = planted(SMALL);
        let mut request = push(&new_image(&mut state, kind, "new"), "new");
        request["imageManifestMediaType"] = Value::Null;
        let error = call(&mut state, "PutImage", &request).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException");
        assert_eq!(
            error.message,
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
        );
        request["imageManifestMediaType"] = MediaType::OciManifest.as_str().into();
        let answer = call(&mut state, "PutImage", &request).unwrap();
        assert_eq!(
            answer["image"]["imageManifestMediaType"],
            MediaType::OciManifest.as_str()
        );
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    let mut state = planted(SMALL);
    let made = new_image(&mut state, Kind::Oci, "new");
    let with = |manifest: &str, media_type: &str| {
        let mut request = push(&made, "new");
        request["imageManifest"] = manifest.into();
        request["imageManifestMediaType"] = media_type.into();
        request
    };
    let oci = MediaType::OciManifest.as_str();
    let signed = r#"{"schemaVersion":1,"name":"x","tag":"y","fsLayers":[],"signatures":[]}"#;
    for (manifest, media_type) in [
        ("", oci),
        ("{", oci),
        ("[]", oci),
        ("{}", oci),
        (r#"{"schemaVersion":2}"#, oci),
        (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, oci),
        (
            signed,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ),
        (&made.manifest, MediaType::DockerManifest.as_str()),
        (&made.manifest, MediaType::OciIndex.as_str()),
        (&made.manifest, "application/json"),
        (
            &make(Kind::Bare, "shop/api", "x").manifest,
            MediaType::OciIndex.as_str(),
        ),
    ] {
        assert_eq!(
            code(&mut state, "PutImage", &with(manifest, media_type)),
            "InvalidParameterException",
            "{manifest} {media_type}"
        );
    }
    let too_large = format!("{}{}", made.manifest, " ".repeat(4 << 20));
    assert_eq!(
        code(&mut state, "PutImage", &with(&too_large, oci)),
        "InvalidParameterException"
    );
    call(&mut state, "PutImage", &with(&made.manifest, oci)).unwrap();
}

#[test]
fn tags_and_names_follow_their_grammars() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    for bad in ["a/b", "a b", "é", "a:b", "", "a+b"] {
        assert_eq!(
            code(&mut state, "PutImage", &put(&image, bad)),
            "InvalidParameterException",
            "{bad}"
        );
    }
    let long = "a".repeat(301);
    assert_eq!(
        code(&mut state, "PutImage", &put(&image, &long)),
        "InvalidParameterException"
    );
    call(&mut state, "PutImage", &put(&image, &long[..300])).unwrap();
    call(&mut state, "PutImage", &put(&image, ".-_x")).unwrap();
    assert_eq!(
        message(&mut state, "PutImage", &put(&image, "a/b")),
        "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression \
         '[a-zA-Z0-9-_.]+''"
    );
    for bad in ["Shop", "a", "a//b", "-a"] {
        let mut request = put(&image, "x");
        request["repositoryName"] = bad.into();
        assert_eq!(
            code(&mut state, "PutImage", &request),
            "InvalidParameterException",
            "{bad}"
        );
    }
    let mut request = put(&image, "x");
    request["repositoryName"] = "shop/none".into();
    assert_eq!(
        message(&mut state, "PutImage", &request),
        "The repository with name 'shop/none' does not exist in the registry with id '123456789012'"
    );
    request["repositoryName"] = json!(7);
    assert_eq!(code(&mut state, "PutImage", &request), "SerializationException");
}

#[test]
fn an_image_takes_a_thousand_tags() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    for n in 2..1_000 {
        call(&mut state, "PutImage", &put(&image, &format!("t{n}"))).unwrap();
    }
    assert_eq!(tagged(&state, "stable").tags().len(), 1_000);
    let request = put(&image, "one-more");
    assert_eq!(code(&mut state, "PutImage", &request), "LimitExceededException");
    // A tag that comes from another image counts too.
    let new = new_image(&mut state, Kind::Docker, "new");
    call(&mut state, "PutImage", &push(&new, "elsewhere")).unwrap();
    assert_eq!(
        code(&mut state, "PutImage", &put(&image, "elsewhere")),
        "LimitExceededException"
    );
    let gone = json!({ "repositoryName": "shop/api", "imageIds": [{ "imageTag": "t7" }] });
    call(&mut state, "BatchDeleteImage", &gone).unwrap();
    call(&mut state, "PutImage", &request).unwrap();
}

#[test]
fn a_repository_has_a_limit_of_images() {
    let mut state = planted(SMALL);
    state.limits = Limits {
        images_per_repository: 2,
        ..Limits::default()
    };
    let new = new_image(&mut state, Kind::Docker, "new");
    assert_eq!(
        code(&mut state, "PutImage", &push(&new, "new")),
        "LimitExceededException"
    );
    let image = tagged(&state, "stable").clone();
    call(&mut state, "PutImage", &put(&image, "new")).unwrap();
}

#[test]
fn errors_come_in_a_fixed_order() {
    let mut state = with_mutability(Mutability::Immutable);
    let mut request = push(&make(Kind::Docker, "elsewhere", "new"), "stable");
    let mut expected = Vec::new();
    request["imageDigest"] = "sha256:0".into();
    request["imageTag"] = "a b".into();
    request["repositoryName"] = "shop/none".into();
    for (member, value) in [
        ("imageTag", json!("stable")),
        ("repositoryName", json!("shop/api")),
        ("imageDigest", Value::Null),
    ] {
        expected.push(code(&mut state, "PutImage", &request));
        request[member] = value;
    }
    expected.push(code(&mut state, "PutImage", &request));
    let manifest = request["imageManifest"].as_str().unwrap().to_owned();
    state.upload_blobs(&owner(), &name("shop/api"), &manifest);
    expected.push(code(&mut state, "PutImage", &request));
    assert_eq!(
        expected,
        [
            "InvalidParameterException",
            "RepositoryNotFoundException",
            "ImageDigestDoesNotMatchException",
            "LayersNotFoundException",
            "ImageTagAlreadyExistsException",
        ]
    );
}

#[test]
fn pushing_an_archived_image_restores_it() {
    let mut state = planted(SMALL);
    let image = tagged(&state, "stable").clone();
    let archive = json!({
        "repositoryName": "shop/api",
        "imageId": { "imageTag": "stable" },
        "targetStorageClass": "ARCHIVE",
    });
    let answer = call(&mut state, "UpdateImageStorageClass", &archive).unwrap();
    assert_eq!(answer["imageStatus"], "ARCHIVED");
    assert!(tagged(&state, "stable").is_archived());
    call(&mut state, "PutImage", &put(&image, "again")).unwrap();
    assert!(!tagged(&state, "stable").is_archived());
}

#[test]
fn a_failed_put_changes_nothing() {
    let mut state = planted(SMALL);
    let revision = state.revision();
    let made = make(Kind::Docker, "elsewhere", "new");
    code(&mut state, "PutImage", &push(&made, "stable"));
    assert_eq!(state.revision(), revision);
    assert_eq!(repository(&state, "shop/api").image_count(), 2);
}
