//! Repositories and the mutability of their tags.

use ecr_retag::sandbox::state::{Limits, State};
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn a_repository_is_created_once() {
    let mut state = State::new();
    let request = json!({ "repositoryName": "shop/api" });
    let answer = call(&mut state, "CreateRepository", &request).unwrap();
    assert_eq!(
        answer["repository"],
        json!({
            "repositoryArn": "arn:aws:ecr:us-east-1:123456789012:repository/shop/api",
            "registryId": "123456789012",
            "repositoryName": "shop/api",
            "repositoryUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/api",
            "createdAt": 1_777_636_800.0,
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": { "scanOnPush": false },
            "encryptionConfiguration": { "encryptionType": "AES256" },
        })
    );
    assert_eq!(
        code(&mut state, "CreateRepository", &request),
        "RepositoryAlreadyExistsException"
    );
    for bad in ["A", "a", "shop//api", "shop/-"] {
        let request = json!({ "repositoryName": bad });
        assert_eq!(
            code(&mut state, "CreateRepository", &request),
            "InvalidParameterException"
        );
    }
    state.limits = Limits {
        repositories: 1,
        ..Limits::default()
    };
    let request = json!({ "repositoryName": "shop/web" });
    assert_eq!(
        code(&mut state, "CreateRepository", &request),
        "LimitExceededException"
    );
}

#[test]
fn repositories_come_by_name_or_page_by_page() {
    let mut state = State::new();
    for n in 0..250 {
        let request = json!({ "repositoryName": format!("r/{n:03}") });
        call(&mut state, "CreateRepository", &request).unwrap();
    }
    let mut request = json!({});
    let mut lengths = Vec::new();
    loop {
        let answer = call(&mut state, "DescribeRepositories", &request).unwrap();
        lengths.push(answer["repositories"].as_array().unwrap().len());
        match answer.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(lengths, [100, 100, 50]);
    let names = |names: &[&str]| json!({ "repositoryNames": names });
    let answer = call(&mut state, "DescribeRepositories", &names(&["r/007", "r/003"])).unwrap();
    assert_eq!(answer["repositories"][1]["repositoryName"], "r/003");
    assert_eq!(
        code(&mut state, "DescribeRepositories", &names(&["r/007", "r/none"])),
        "RepositoryNotFoundException"
    );
    let mut both = names(&["r/007"]);
    both["maxResults"] = json!(5);
    let too_many: Vec<String> = (0..101).map(|n| format!("r/{n:03}")).collect();
    for bad in [
        both,
        json!({ "repositoryNames": too_many }),
        json!({ "repositoryNames": [] }),
        json!({ "maxResults": 1001 }),
        json!({ "nextToken": "x" }),
    ] {
        assert_eq!(
            code(&mut state, "DescribeRepositories", &bad),
            "InvalidParameterException"
        );
    }
}

#[test]
fn only_an_empty_repository_is_deleted_without_force() {
    let mut state = planted(SMALL);
    let mut request = json!({ "repositoryName": "shop/api" });
    assert_eq!(
        code(&mut state, "DeleteRepository", &request),
        "RepositoryNotEmptyException"
    );
    request["force"] = json!(true);
    call(&mut state, "DeleteRepository", &request).unwrap();
    assert_eq!(
        code(&mut state, "DeleteRepository", &request),
        "RepositoryNotFoundException"
    );
}

#[test]
fn mutability_has_four_modes() {
    let mut state = planted(SMALL);
    let filter = |filter: &str| json!({ "filterType": "WILDCARD", "filter": filter });
    let request = |mode: Value, filters: Value| {
        json!({
            "repositoryName": "shop/api",
            "imageTagMutability": mode,
            "imageTagMutabilityExclusionFilters": filters,
        })
    };
    for (mode, filters) in [
        ("MUTABLE", Value::Null),
        ("IMMUTABLE", Value::Null),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            json!([filter("latest"), filter("*-dev-*")]),
        ),
        ("MUTABLE_WITH_EXCLUSION", json!([filter("v*")])),
    ] {
        let request = request(json!(mode), filters.clone());
        let answer = call(&mut state, "PutImageTagMutability", &request).unwrap();
        assert_eq!(answer["imageTagMutability"], mode);
        let described = call(&mut state, "DescribeRepositories", &json!({})).unwrap();
        let repository = &described["repositories"][0];
        assert_eq!(repository["imageTagMutability"], mode);
        let shown = repository.get("imageTagMutabilityExclusionFilters");
        assert_eq!(shown, filters.as_array().map(|_| &filters));
    }
    let six: Value = (0..6).map(|n| filter(&n.to_string())).collect();
    for (mode, filters) in [
        (json!("MUTABLE"), json!([filter("x")])),
        (json!("IMMUTABLE"), json!([filter("x")])),
        (json!("IMMUTABLE_WITH_EXCLUSION"), Value::Null),
        (json!("IMMUTABLE_WITH_EXCLUSION"), json!([])),
        (json!("MUTABLE_WITH_EXCLUSION"), six),
        (json!("MUTABLE_WITH_EXCLUSION"), json!([filter("a*b*c*")])),
        (json!("MUTABLE_WITH_EXCLUSION"), json!([filter("a/b")])),
        (json!("MUTABLE_WITH_EXCLUSION"), json!([filter("")])),
        (json!("MUTABLE_WITH_EXCLUSION"), json!([filter(&"a".repeat(129))])),
        (
            json!("MUTABLE_WITH_EXCLUSION"),
            json!([{ "filterType": "REGEX", "filter": "x" }]),
        ),
        (json!("SOMETIMES"), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let request = request(mode, filters);
        assert_eq!(
            code(&mut state, "PutImageTagMutability", &request),
            "InvalidParameterException",
            "{request}"
        );
    }
}

#[test]
fn an_operation_that_is_not_known_is_an_error() {
    let mut state = planted(SMALL);
    assert_eq!(
        code(&mut state, "DeleteEverything", &json!({})),
        "UnknownOperationException"
    );
    assert_eq!(code(&mut state, "PutImage", &json!([])), "SerializationException");
}
