//! The way back, walked by the real program.

use std::collections::BTreeMap;

use ecr_retag::model::{Digest, Tag};
use ecr_retag::sandbox::fault::{Action, FaultRule, Match, MoveTo, Writer};
use ecr_retag::sandbox::{FaultPlan, Faults};
use serde_json::{Value, json};

use crate::loopback::{Loopback, Run};
use crate::support::{now, owner, tags};

const REPOSITORIES: &str = "\
repositories:
- names: [shop/api]
  images:
  - { name: new, tags: [1.8.0-rc.3] }
  - { name: now, tags: [1.7.2, stable] }
  - { name: old, tags: [previous, 1.7.1] }
";

/// Makes a tag, moves two, and renames one away.
const PLAN: &str = "\
version: 1
policy: { max_removes: 1 }
rules:
- name: promote
  repositories: shop/api
  from: 1.8.0-rc.3
  to: [1.8.0, stable]
  backup: { stable: previous }
- name: rename
  repositories: shop/api
  from: 1.7.1
  to: archive-1.7.1
  remove_source: true
";

impl Loopback {
    fn tags(&self) -> BTreeMap<Tag, Digest> {
        tags(&self.sandbox, "shop/api")
    }

    /// Somebody else calls ECR, and it works.
    fn rival_calls(&self, operation: &str, mut request: Value) -> Value {
        request["repositoryName"] = json!("shop/api");
        let answer = self
            .sandbox
            .edit(|state| state.handle(operation, &request, &owner(), now()))
            .unwrap();
        answer.unwrap()
    }

    /// Somebody else puts a tag where another one is.
    fn rival_moves(&self, tag: &str, onto: &str) {
        let ids = json!({ "imageIds": [{ "imageTag": onto }] });
        let manifest = self.rival_calls("BatchGetImage", ids)["images"][0]["imageManifest"].take();
        self.rival_calls("PutImage", json!({ "imageTag": tag, "imageManifest": manifest }));
    }

    async fn roll_back(&self, journal: &str) -> Run {
        self.run(&format!("rollback {journal} --auto-approve")).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_taken_back_and_can_be_done_again() {
    let loopback = Loopback::with(REPOSITORIES, PLAN).await;
    let before = loopback.tags();
    let apply = "apply plan.yaml --auto-approve --put-rate 1000 --journal run.jsonl";
    let applied = loopback.run(apply).await;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let after = loopback.tags();
    assert_ne!(before, after);

    let back = loopback.roll_back("run.jsonl --journal back.jsonl").await;
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert!(
        back.out
            .contains("Apply complete! Tags: 1 added, 2 changed, 2 destroyed."),
        "{}",
        back.out
    );
    assert_eq!(loopback.tags(), before);

    let twice = loopback.roll_back("run.jsonl").await;
    assert_eq!(twice.code, 0, "{}{}", twice.out, twice.err);
    assert!(twice.out.contains("No changes."), "{}", twice.out);

    let forth = loopback.roll_back("back.jsonl").await;
    assert_eq!(forth.code, 0, "{}{}", forth.out, forth.err);
    assert_eq!(loopback.tags(), after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_moved_on_since_is_left_alone_and_said_so() {
    let loopback = Loopback::with(REPOSITORIES, PLAN).await;
    let before = loopback.tags();
    loopback
        .run("apply plan.yaml --auto-approve --put-rate 1000 --journal run.jsonl")
        .await;
    loopback.rival_moves("stable", "archive-1.7.1");
    let moved = loopback.tags();
    let back = loopback.roll_back("run.jsonl").await;
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    assert!(
        back.err
            .contains("`shop/api:stable` is left alone: somebody has moved it since"),
        "{}",
        back.err
    );
    assert!(
        back.err.contains("`shop/api:previous` is left alone"),
        "the backup goes only with its move\n{}",
        back.err
    );
    let mut expected = before;
    for tag in ["stable", "previous"] {
        expected.insert(tag.parse().unwrap(), moved[&tag.parse::<Tag>().unwrap()]);
    }
    assert_eq!(loopback.tags(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_created_tag_stays_where_its_removal_would_delete_the_image() {
    let plan = "version: 1\nrules:\n- { name: copy, repositories: shop/api, from: 1.8.0-rc.3, to: 1.8.0 }\n";
    let loopback = Loopback::with(REPOSITORIES, plan).await;
    loopback
        .run("apply plan.yaml --auto-approve --journal run.jsonl")
        .await;
    loopback.rival_moves("1.8.0-rc.3", "stable");
    let back = loopback.roll_back("run.jsonl").await;
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    assert!(
        back.err
            .contains("`shop/api:1.8.0` is left alone: it is the last tag of its image"),
        "{}",
        back.err
    );
    assert!(loopback.tags().contains_key(&"1.8.0".parse::<Tag>().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_becomes_the_last_at_the_last_moment_is_not_removed() {
    let plan = "version: 1\nrules:\n- { name: copy, repositories: shop/api, from: 1.8.0-rc.3, to: 1.8.0 }\n";
    let loopback = Loopback::with(REPOSITORIES, plan).await;
    loopback
        .run("apply plan.yaml --auto-approve --journal run.jsonl")
        .await;
    // The first read plans the way back, the second is that before the removal.
    let rival = FaultRule {
        on: Match {
            operation: Some("BatchGetImage".to_owned()),
            tag: Some("1.8.0".to_owned()),
            nth: Some(2),
            ..Match::default()
        },
        times: None,
        action: Action::Writer(Writer {
            repository: None,
            tag: Some("1.8.0-rc.3".parse().unwrap()),
            move_to: MoveTo::Tag("stable".parse().unwrap()),
        }),
    };
    loopback.sandbox.set_faults(Faults::new(FaultPlan {
        seed: 0,
        rules: vec![rival],
    }));
    let back = loopback.roll_back("run.jsonl").await;
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    assert!(
        back.out.contains("is now the last tag of its image"),
        "{}",
        back.out
    );
    let tags = loopback.tags();
    let tag = |name: &str| tags.get(&name.parse::<Tag>().unwrap());
    assert_eq!(
        tag("1.8.0-rc.3"),
        tag("stable"),
        "the rival did not come in between"
    );
    assert!(tag("1.8.0").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_from_an_image_that_is_gone_cannot_be_taken_back() {
    let plan = "version: 1\nrules:\n- { name: move, repositories: shop/api, from: 1.8.0-rc.3, to: only }\n";
    let repositories = "repositories:\n- names: [shop/api]\n  images:\n  - { name: new, tags: [1.8.0-rc.3] }\n  - { \
                        name: old, tags: [only] }\n";
    let loopback = Loopback::with(repositories, plan).await;
    let gone = loopback.tags()[&"only".parse::<Tag>().unwrap()];
    let applied = loopback
        .run("apply plan.yaml --auto-approve --journal run.jsonl")
        .await;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    loopback.rival_calls(
        "BatchDeleteImage",
        json!({ "imageIds": [{ "imageDigest": gone.to_string() }] }),
    );
    let after = loopback.tags();
    let back = loopback.roll_back("run.jsonl").await;
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    assert!(back.err.contains("is gone"), "{}", back.err);
    assert_eq!(loopback.tags(), after);
}
