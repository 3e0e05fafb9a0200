//! How an apply ends when things go wrong, seen from outside: exit code, recap, registry and journal.

use std::fmt::Write as _;

use ecr_retag::apply::journal::Fate;
use ecr_retag::model::Tag;
use ecr_retag::sandbox::fault::{Action, FaultRule, Match, MoveTo, Throttle, Writer};
use ecr_retag::sandbox::{FaultPlan, Faults};

use crate::loopback::{Loopback, Run};
use crate::support::tags;

fn on(operation: &str) -> Match {
    Match {
        operation: Some(operation.to_owned()),
        ..Match::default()
    }
}

impl Loopback {
    /// Lets this happen to these calls.
    fn fault(&self, on: Match, action: Action) {
        self.faults(vec![FaultRule {
            on,
            times: None,
            action,
        }]);
    }

    fn faults(&self, rules: Vec<FaultRule>) {
        self.sandbox.set_faults(Faults::new(FaultPlan { seed: 7, rules }));
    }

    /// How many calls of an operation arrived.
    fn calls(&self, operation: &str) -> u64 {
        let tallies = self.sandbox.tallies();
        tallies.get(operation).map_or(0, |tally| tally.calls)
    }
}

impl Run {
    /// It ended with this code, and its recap says all of this.
    fn ends_with(&self, code: i32, says: &[&str]) {
        let told = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{told}");
        for said in says {
            assert!(self.out.contains(said), "`{said}` is not in\n{told}");
        }
    }
}

/// Somebody moves `n-t3`, or makes it, right before it is read again.
fn rival() -> FaultRule {
    FaultRule {
        on: Match {
            tag: Some("n-t3".to_owned()),
            nth: Some(2),
            ..on("BatchGetImage")
        },
        times: Some(1),
        action: Action::Writer(Writer {
            repository: None,
            tag: Some("n-t3".parse().unwrap()),
            move_to: MoveTo::Tag("t0".parse().unwrap()),
        }),
    }
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_somebody_moved_is_left_alone_and_the_rest_goes_on_if_asked() {
    let plan = "version: 1\nrules:\n- { name: a, repositories: shop/api, from: t3, to: n-t3 }\n- { name: b, \
                repositories: shop/api, from: t4, to: n-t4, stage: 1 }\n- { name: c, repositories: shop/web, from: \
                t5, to: n-t5 }\n";
    let repositories = "repositories:\n- names: [shop/api, shop/web]\n  images:\n  - { name: i0, tags: [t0] }\n  - { \
                        name: i3, tags: [t3] }\n  - { name: i4, tags: [t4] }\n  - { name: i5, tags: [t5] }\n";
    for (policy, written) in [("stop", 0..=1), ("continue", 1..=1)] {
        let loopback = Loopback::with(repositories, plan).await;
        loopback.faults(vec![rival()]);
        let run = loopback
            .run(&format!("apply plan.yaml --auto-approve --on-error {policy}"))
            .await;
        run.ends_with(4, &["1 stale", "shop/api:n-t3"]);
        let (api, web) = (
            tags(&loopback.sandbox, "shop/api"),
            tags(&loopback.sandbox, "shop/web"),
        );
        assert_eq!(api.get(&tag("n-t3")), api.get(&tag("t0")));
        assert_eq!(api.get(&tag("n-t4")), None, "a later stage began");
        assert!(
            written.contains(&usize::from(web.contains_key(&tag("n-t5")))),
            "{policy}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_calls_are_all_denied_ends_early() {
    let loopback = Loopback::start(400).await;
    loopback.fault(on("PutImage"), Action::Deny);
    let arguments = "apply plan.yaml --auto-approve --on-error continue --put-rate 1000";
    let run = loopback.run(arguments).await;
    run.ends_with(3, &["Error: every call fails alike", "`ecr:PutImage`"]);
    // Ten that failed alike, and those that were in flight then.
    assert!((10..=26).contains(&loopback.calls("PutImage")));
    assert!(
        loopback
            .record()
            .fates
            .iter()
            .all(|fate| *fate == Fate::Untouched)
    );
    loopback.faults(Vec::new());
    loopback.run(arguments).await.ends_with(0, &["Apply complete!"]);
    assert_eq!(loopback.copied().len(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_denied_repository_does_not_end_the_others() {
    let mut images = String::new();
    for number in 0..20 {
        writeln!(images, "  - {{ name: i{number}, tags: [t{number}] }}").unwrap();
    }
    let repositories = format!("repositories:\n- names: [shop/api, shop/web]\n  images:\n{images}");
    let plan = "version: 1\nrules:\n- { name: all, repositories: 'shop/*', from: 't?', to: 'n-${tag}' }\n";
    let loopback = Loopback::with(&repositories, plan).await;
    let denied = Match {
        repository: Some("shop/web".to_owned()),
        tag: Some("n-t1".to_owned()),
        ..on("PutImage")
    };
    loopback.fault(denied, Action::Deny);
    let run = loopback
        .run("apply plan.yaml --auto-approve --on-error continue")
        .await;
    run.ends_with(
        3,
        &[
            "Tags: 19 applied, 1 failed, 0 stale, 0 not attempted.",
            "shop/web:n-t1",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_credentials_end_the_run_at_once_and_the_rest_is_carried_on_with() {
    let loopback = Loopback::start(200).await;
    let expire = Match {
        nth: Some(20),
        ..on("PutImage")
    };
    loopback.fault(expire, Action::ExpireCredentials);
    let arguments = "apply plan.yaml --auto-approve --put-rate 1000";
    let run = loopback.run(arguments).await;
    run.ends_with(3, &["Error: ", "expired"]);
    assert!(loopback.calls("PutImage") < 60, "{}", loopback.calls("PutImage"));
    assert_eq!(loopback.puts(), loopback.copied().len() as u64);
    let done = loopback
        .record()
        .fates
        .iter()
        .filter(|fate| **fate == Fate::Done)
        .count();
    assert_eq!(done as u64, loopback.puts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_in_five_is_lost_and_everything_ends_right() {
    let loopback = Loopback::start(300).await;
    let lost = Match {
        probability: Some(0.2),
        ..on("PutImage")
    };
    loopback.fault(lost, Action::DropAfter);
    let run = loopback
        .run("apply plan.yaml --auto-approve --put-rate 1000")
        .await;
    run.ends_with(
        0,
        &[
            "Apply complete! Tags: 300 added, 0 changed, 0 destroyed.",
            " retried",
        ],
    );
    assert_eq!(loopback.copied().len(), 300);
    assert_eq!(loopback.puts(), 300, "a tag was written twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_first_attempt_is_throttled_and_nothing_fails() {
    let loopback = Loopback::start(24).await;
    let rules = (0..24).map(|number| FaultRule {
        on: Match {
            tag: Some(format!("n-t{number}")),
            ..on("PutImage")
        },
        times: Some(1),
        action: Action::Throttle(Throttle::default()),
    });
    loopback.faults(rules.collect());
    let run = loopback
        .run("apply plan.yaml --auto-approve --parallelism 16 --put-rate 500")
        .await;
    run.ends_with(0, &["Apply complete! Tags: 24 added", "24 throttled"]);
    assert_eq!((loopback.calls("PutImage"), loopback.puts()), (48, 24));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_that_is_not_what_its_digest_says_is_never_put() {
    let loopback = Loopback::start(3).await;
    loopback.fault(on("BatchGetImage"), Action::Reformat);
    let run = loopback
        .run("apply plan.yaml --auto-approve --on-error continue")
        .await;
    run.ends_with(3, &["digest", "3 failed"]);
    assert_eq!(loopback.calls("PutImage"), 0);
}
