use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::model::Mutability;
use crate::registry::testing::{ACCOUNT, Answer, Scripted, digest, error, ok};
use crate::registry::{CallContext, Kind};

/// Repositories with their tags; each tag is on the image of the text beside it.
type Contents = BTreeMap<&'static str, Vec<(String, String)>>;

fn contents(repositories: &[(&'static str, &[(&str, &str)])]) -> Contents {
    let owned = |(tag, image): &(&str, &str)| ((*tag).to_owned(), (*image).to_owned());
    repositories
        .iter()
        .map(|(name, tags)| (*name, tags.iter().map(owned).collect()))
        .collect()
}

/// As much of ECR as reading asks for: pages of 1,000, calls that fail as a whole, failures within an answer.
fn ecr(contents: Contents) -> Scripted {
    Scripted::new(move |operation, asked| match operation {
        "DescribeRepositories" => describe_repositories(&contents, asked),
        "BatchGetImage" => batch_get_image(&contents, asked),
        "ListImages" => {
            assert_eq!(asked["filter"]["imageStatus"], "ANY");
            let entry =
                |(tag, image): &(String, String)| json!({"imageTag": tag, "imageDigest": digest(image)});
            page(&contents[repository(asked)], asked, "imageIds", entry)
        }
        "DescribeImages" => describe_images(&contents, asked),
        other => panic!("{other}"),
    })
}

fn repository(asked: &Value) -> &str {
    asked["repositoryName"].as_str().unwrap()
}

fn page<T>(all: &[T], asked: &Value, member: &str, entry: impl Fn(&T) -> Value) -> Answer {
    let from: usize = asked["nextToken"]
        .as_str()
        .map_or(0, |token| token.parse().unwrap());
    let size = usize::try_from(asked["maxResults"].as_u64().unwrap_or(100)).unwrap();
    let entries: Vec<Value> = all.iter().skip(from).take(size).map(entry).collect();
    let next = (from + size < all.len()).then(|| (from + size).to_string());
    ok(&json!({member: entries, "nextToken": next}))
}

fn describe_repositories(contents: &Contents, asked: &Value) -> Answer {
    let entry = |name: &&str| {
        json!({"registryId": ACCOUNT, "repositoryName": name, "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
               "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}]})
    };
    let Some(names) = asked["repositoryNames"].as_array() else {
        let all: Vec<&str> = contents.keys().copied().collect();
        return page(&all, asked, "repositories", entry);
    };
    let names: Vec<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
    match names.iter().find(|name| !contents.contains_key(**name)) {
        Some(name) if name.starts_with("unnamed") => {
            error(400, "RepositoryNotFoundException", "no such repository")
        }
        Some(name) => error(
            400,
            "RepositoryNotFoundException",
            &format!("The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"),
        ),
        None => ok(&json!({"repositories": names.iter().map(entry).collect::<Vec<_>>()})),
    }
}

fn batch_get_image(contents: &Contents, asked: &Value) -> Answer {
    assert!(asked["acceptedMediaTypes"].as_array().unwrap().len() >= 5);
    let tags = &contents[repository(asked)];
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in asked["imageIds"].as_array().unwrap() {
        let found = tags.iter().find(|(tag, image)| match id["imageTag"].as_str() {
            Some(asked) => tag == asked,
            None => id["imageDigest"] == json!(digest(image)),
        });
        match found {
            Some((_, image)) if image == "upstream" => failures.push(json!({
                "imageId": id, "failureCode": "UpstreamUnavailable", "failureReason": "no answer from upstream"
            })),
            Some((_, image)) if image == "silent" && asked["imageIds"][1].is_object() => {}
            Some((_, image)) => images.push(json!({
                "registryId": ACCOUNT, "repositoryName": repository(asked), "imageManifest": image,
                "imageId": {"imageTag": id["imageTag"], "imageDigest": digest(image)},
            })),
            None => failures.push(json!({
                "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"
            })),
        }
    }
    ok(&json!({"images": images, "failures": failures}))
}

fn describe_images(contents: &Contents, asked: &Value) -> Answer {
    assert_eq!(asked["filter"]["imageStatus"], "ANY");
    let mut images: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tag, image) in &contents[repository(asked)] {
        images.entry(image).or_default().push(tag);
    }
    let entry = |(image, tags): &(&str, Vec<&str>)| {
        json!({"registryId": ACCOUNT, "imageDigest": digest(image), "imageTags": tags,
               "imagePushedAt": 1_499_287_667.5, "imageStatus": "ARCHIVED"})
    };
    let all: Vec<_> = images.into_iter().collect();
    let Some(ids) = asked["imageIds"].as_array() else {
        return page(&all, asked, "imageDetails", entry);
    };
    let is_asked = |image: &str| ids.iter().any(|id| id["imageDigest"] == json!(digest(image)));
    let found: Vec<Value> = all
        .iter()
        .filter(|(image, _)| is_asked(image))
        .map(entry)
        .collect();
    if found.len() < ids.len() {
        return error(400, "ImageNotFoundException", "some image does not exist");
    }
    ok(&json!({"imageDetails": found}))
}

fn names(names: impl IntoIterator<Item = impl AsRef<str>>) -> BTreeSet<RepositoryName> {
    names
        .into_iter()
        .map(|name| name.as_ref().parse().unwrap())
        .collect()
}

fn tags(tags: impl IntoIterator<Item = impl AsRef<str>>) -> BTreeSet<Tag> {
    tags.into_iter()
        .map(|tag| tag.as_ref().parse().unwrap())
        .collect()
}

async fn observe_all(
    server: &Scripted,
    wanted: RepositoryReads,
    reads: Reads,
    losing: &[&str],
) -> Vec<Observation> {
    let registry = server.registry(None).await;
    let context = CallContext::new(0);
    let reader = Reader::new(&registry, &context);
    let losing: BTreeSet<Digest> = losing.iter().map(|image| digest(image)).collect();
    let questions = Questions {
        reads: &|name| (!name.as_str().starts_with("other/")).then(|| reads.clone()),
        losing: &|_| losing.clone(),
    };
    let mut seen: Vec<Observation> = observe(&reader, &wanted, questions).collect().await;
    seen.sort_by_key(|seen| format!("{seen:?}"));
    seen
}

fn exact(exact: impl IntoIterator<Item = impl AsRef<str>>) -> RepositoryReads {
    RepositoryReads {
        exact: names(exact),
        has_globs: false,
    }
}

fn whole(with_push_times: bool) -> Reads {
    Reads::Whole { with_push_times }
}

fn inventory(seen: &Observation) -> &Inventory {
    match seen {
        Observation::Inventory(inventory) => inventory,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn named_tags_cost_a_call_for_a_hundred() {
    let many: Vec<(String, String)> = (0..250).map(|n| (format!("t{n}"), format!("i{n}"))).collect();
    let server = ecr(BTreeMap::from([("shop/api", many.clone())]));
    let asked = many
        .iter()
        .map(|(tag, _)| tag.clone())
        .chain(["absent".to_owned()]);
    let reads = Reads::Named {
        tags: tags(asked),
        digests: BTreeSet::from([digest("i7"), digest("nowhere")]),
    };
    let seen = observe_all(&server, exact(["shop/api"]), reads, &[]).await;
    let inventory = inventory(&seen[0]);
    assert_eq!(inventory.view, View::Named);
    assert_eq!(inventory.tags.len(), 250);
    assert_eq!(inventory.tags["t7"], digest("i7"));
    assert_eq!(inventory.images.keys().collect::<Vec<_>>(), [&digest("i7")]);
    assert_eq!(
        inventory.mutability,
        Mutability::ImmutableExcept(vec!["dev-*".to_owned()])
    );
    assert_eq!(
        (
            server.count("DescribeRepositories"),
            server.count("BatchGetImage")
        ),
        (1, 3)
    );
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn images_that_lose_a_tag_are_described() {
    let server = ecr(contents(&[(
        "shop/api",
        &[("stable", "old"), ("1.7", "old"), ("1.8", "new")],
    )]));
    let reads = Reads::Named {
        tags: tags(["stable", "1.8"]),
        digests: BTreeSet::new(),
    };
    let seen = observe_all(&server, exact(["shop/api"]), reads, &["old", "gone"]).await;
    let image = &inventory(&seen[0]).images[&digest("old")];
    assert_eq!(image.tags.as_ref().unwrap().len(), 2);
    assert!(image.is_archived);
    assert_eq!(image.pushed_at.unwrap().to_string(), "2017-07-05T20:47:47.5Z");
    assert!(!inventory(&seen[0]).images.contains_key(&digest("gone")));
    // Both at once, then each by itself, since one of them is gone.
    assert_eq!(server.count("DescribeImages"), 3);
}

#[tokio::test]
async fn an_upstream_that_fails_is_never_an_absent_tag() {
    let server = ecr(contents(&[("shop/api", &[("a", "1"), ("cached", "upstream")])]));
    let reads = Reads::Named {
        tags: tags(["a", "cached"]),
        digests: BTreeSet::new(),
    };
    let seen = observe_all(&server, exact(["shop/api"]), reads, &[]).await;
    let Observation::Failed(error) = &seen[0] else {
        panic!("{seen:?}");
    };
    assert_eq!(error.kind(), Kind::ImageUnavailable);
    assert_eq!(
        error.to_string(),
        "image unavailable in BatchGetImage of `shop/api:cached`: no answer from upstream (UpstreamUnavailable)"
    );
}

#[tokio::test]
async fn a_tag_the_answer_is_silent_about_is_asked_for_again() {
    let server = ecr(contents(&[("shop/api", &[("a", "1"), ("b", "silent")])]));
    let reads = Reads::Named {
        tags: tags(["a", "b"]),
        digests: BTreeSet::new(),
    };
    let seen = observe_all(&server, exact(["shop/api"]), reads, &[]).await;
    assert_eq!(inventory(&seen[0]).tags["b"], digest("silent"));
    assert_eq!(server.count("BatchGetImage"), 2);
}

#[tokio::test]
async fn patterns_list_a_thousand_a_page() {
    let many: Vec<(String, String)> = (0..2_001)
        .map(|n| (format!("t{n}"), format!("i{}", n / 2)))
        .collect();
    let server = ecr(BTreeMap::from([("shop/api", many), ("other/web", Vec::new())]));
    let wanted = RepositoryReads {
        exact: names(["shop/gone"]),
        has_globs: true,
    };
    let seen = observe_all(&server, wanted.clone(), whole(false), &[]).await;
    assert_eq!(inventory(&seen[0]).tags.len(), 2_001);
    assert_eq!(seen[1], Observation::Missing("shop/gone".parse().unwrap()));
    assert_eq!(
        (server.count("DescribeRepositories"), server.count("ListImages")),
        (1, 3)
    );
    assert_eq!(server.asked().len(), 4);

    let seen = observe_all(&server, wanted, whole(true), &[]).await;
    assert_eq!(inventory(&seen[0]).tags.len(), 2_001);
    assert_eq!(inventory(&seen[0]).images.len(), 1_001);
    assert_eq!(server.count("DescribeImages"), 2);
}

#[tokio::test]
async fn missing_repositories_do_not_keep_others_from_being_read() {
    let there: Vec<String> = (0..240).map(|n| format!("shop/r{n:03}")).collect();
    let there: Vec<&'static str> = there.into_iter().map(|name| &*name.leak()).collect();
    let server = ecr(there.iter().map(|name| (*name, Vec::new())).collect());
    let asked = there.iter().copied().chain(["shop/gone", "unnamed/gone"]);
    let seen = observe_all(&server, exact(asked), whole(false), &[]).await;
    let missing: Vec<_> = seen
        .iter()
        .filter(|seen| matches!(seen, Observation::Missing(_)))
        .collect();
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert_eq!(seen.len(), 242);
    // One call for each hundred, one more without the name that the error gave, and a few halvings for the other.
    assert!(
        server.count("DescribeRepositories") <= 3 + 1 + 14,
        "{}",
        server.count("DescribeRepositories")
    );
}

#[tokio::test]
async fn a_tag_that_moves_between_pages_is_read_again() {
    let server = Scripted::new(|operation, asked| match operation {
        "DescribeRepositories" => ok(&json!({"repositories": [{"repositoryName": "shop/api"}]})),
        "ListImages" if asked["nextToken"].is_null() => ok(&json!({
            "imageIds": [{"imageTag": "stable", "imageDigest": digest("old")}, {"imageDigest": digest("bare")}],
            "nextToken": "2",
        })),
        "ListImages" => ok(&json!({
            "imageIds": [{"imageTag": "stable", "imageDigest": digest("new")},
                         {"imageTag": "1.8", "imageDigest": digest("new")}],
        })),
        _ => ok(&json!({"images": [{"imageManifest": "m",
            "imageId": {"imageTag": "stable", "imageDigest": digest("new")}}]})),
    });
    let seen = observe_all(&server, exact(["shop/api"]), whole(false), &[]).await;
    let inventory = inventory(&seen[0]);
    assert_eq!(inventory.tags["stable"], digest("new"));
    assert_eq!(inventory.tags.len(), 2);
    assert!(inventory.images.contains_key(&digest("bare")));
    assert_eq!(server.count("BatchGetImage"), 1);
}

#[tokio::test]
async fn a_list_that_goes_in_circles_ends() {
    let server = Scripted::new(|_, _| ok(&json!({"repositories": [], "nextToken": "again"})));
    let wanted = RepositoryReads {
        exact: BTreeSet::new(),
        has_globs: true,
    };
    let seen = observe_all(&server, wanted, whole(false), &[]).await;
    assert!(
        matches!(&seen[..], [Observation::Failed(error)] if error.kind() == Kind::UnexpectedAnswer),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_denied_is_reported_once_and_the_rest_is_read() {
    let server = Scripted::new(
        |operation, asked| match (operation, asked["repositoryName"].as_str()) {
            ("DescribeRepositories", _) => ok(&json!({"repositories": [
            {"repositoryName": "shop/api"}, {"repositoryName": "shop/web"}]})),
            (_, Some("shop/api")) => error(
                400,
                "AccessDeniedException",
                "not authorized to perform ecr:ListImages.",
            ),
            _ => ok(&json!({"imageIds": []})),
        },
    );
    let seen = observe_all(&server, exact(["shop/api", "shop/web"]), whole(false), &[]).await;
    assert!(
        matches!(&seen[0], Observation::Failed(error) if error.kind() == Kind::Denied
        && error.help().unwrap().contains("`ecr:ListImages` on the repository `shop/api`"))
    );
    assert_eq!(inventory(&seen[1]).repository.as_str(), "shop/web");
}
