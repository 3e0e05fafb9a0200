use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ecr_retag::registry::{CallContext, FetchedImage, Kind, Observer, Operation, Rate, Registry, Retry};
use ecr_retag::sandbox::fault::{Action, FaultRule, Match, Throttle};
use ecr_retag::sandbox::{FaultPlan, Faults, Quota};
use futures::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::{World, image, list, on, put_once, tag};

fn throttle(retry_after_seconds: Option<u64>) -> Action {
    Action::Throttle(Throttle {
        retry_after_seconds,
        ..Throttle::default()
    })
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Kind, Duration)>>);

impl Observer for Heard {
    fn will_retry(&self, retry: &Retry<'_>) {
        assert_eq!(retry.registry.as_str(), "default");
        self.0.lock().unwrap().push((retry.error.kind(), retry.wait));
    }
}

#[tokio::test(start_paused = true)]
async fn throttles_are_tried_again_until_they_end_and_are_counted() {
    let world = World::new();
    world.fault_times(12, on(Operation::ListImages), throttle(None));
    let registry = world.registry().await;
    let heard = Arc::new(Heard::default());
    let context = CallContext::new(1).with_observer(Arc::clone(&heard) as Arc<dyn Observer>);
    let attempts = list(&registry, &context).await.unwrap();
    assert_eq!(attempts, 13);
    let counts = registry.counts(Operation::ListImages);
    assert_eq!(counts.calls, u64::from(attempts));
    assert_eq!(counts.throttled, u64::from(attempts) - 1);
    assert_eq!(counts.retries, counts.throttled);
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len() as u64, counts.retries);
    assert!(
        heard
            .iter()
            .all(|(kind, wait)| *kind == Kind::Throttled && *wait <= Duration::from_secs(5))
    );
}

#[tokio::test(start_paused = true)]
async fn failures_in_passing_are_tried_eight_times() {
    let world = World::new();
    world.fault(on(Operation::ListImages), Action::ServerError);
    let error = list(&world.registry().await, &CallContext::new(1))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Transient, 8));
    assert!(error.to_string().ends_with("after 8 attempts"), "{error}");
    assert_eq!(world.calls("ListImages"), 8);
}

#[tokio::test(start_paused = true)]
async fn throttles_do_not_use_up_the_tries_for_failures_in_passing() {
    let world = World::new();
    let rule = |times, action| FaultRule {
        on: on(Operation::ListImages),
        times: Some(times),
        action,
    };
    world.sandbox.set_faults(Faults::new(FaultPlan {
        seed: 0,
        rules: vec![rule(10, throttle(None)), rule(17, Action::ServerError)],
    }));
    // Both rules apply to a call, and the first answers it: ten throttles, then seven failures.
    let attempts = list(&world.registry().await, &CallContext::new(1)).await.unwrap();
    assert_eq!(attempts, 18);
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_tried_once() {
    for code in [
        "LimitExceededException",
        "AccessDeniedException",
        "InvalidParameterException",
    ] {
        let world = World::new();
        let error = Action::Error {
            status: 400,
            code: code.to_owned(),
            message: String::new(),
        };
        world.fault(on(Operation::ListImages), error);
        list(&world.registry().await, &CallContext::new(1))
            .await
            .unwrap_err();
        assert_eq!(world.calls("ListImages"), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_says_how_long_to_wait_up_to_twenty_seconds() {
    for (asked_s, waited_s) in [(7, 7), (3_600, 20)] {
        let world = World::new();
        world.fault_times(1, on(Operation::ListImages), throttle(Some(asked_s)));
        let started_at = Instant::now();
        assert_eq!(
            list(&world.registry().await, &CallContext::new(1)).await.unwrap(),
            2
        );
        let waited = started_at.elapsed().as_secs();
        assert!((waited_s..waited_s + 3).contains(&waited), "{waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_call_getting_through_it_ends_after_five_minutes() {
    let world = World::new();
    world.fault(on(Operation::ListImages), throttle(None));
    let started_at = Instant::now();
    let error = list(&world.registry().await, &CallContext::new(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Throttled);
    assert!((300..320).contains(&started_at.elapsed().as_secs()));
    assert!(error.help().unwrap().contains("five minutes"));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_end_of_the_run() {
    let world = World::new();
    world.fault(on(Operation::ListImages), throttle(None));
    let registry = world.registry().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = list(&registry, &CallContext::new(1).with_deadline(Some(deadline)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineOver);
    assert!(Instant::now() <= deadline + Duration::from_millis(1));
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("ThrottlingException")
    );

    let cancel = CancellationToken::new();
    let context = CallContext::new(1).with_cancel(cancel.clone());
    let stop = async {
        sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let (listed, ()) = futures::join!(list(&registry, &context), stop);
    assert_eq!(listed.unwrap_err().kind(), Kind::Cancelled);
    let calls = world.calls("ListImages");
    list(&registry, &context).await.unwrap_err();
    assert_eq!(world.calls("ListImages"), calls);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_is_awaited_when_the_run_is_cancelled() {
    let world = World::new();
    world.sandbox.set_latency(Duration::from_secs(2));
    let cancel = CancellationToken::new();
    let context = CallContext::new(1).with_cancel(cancel.clone());
    let registry = world.registry().await;
    let stop = async {
        sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let (listed, ()) = futures::join!(list(&registry, &context), stop);
    assert_eq!(listed.unwrap(), 1);
}

/// Puts so many new tags on an image, sixteen calls in flight.
async fn put_by_sixteen_workers(registry: &Registry, image: &FetchedImage, tags: u32) {
    let (begun, context) = (AtomicU32::new(0), CallContext::new(1));
    let worker = || async {
        loop {
            let number = begun.fetch_add(1, Ordering::Relaxed);
            if number >= tags {
                return;
            }
            let tag = tag(&format!("t{number}"));
            let put = registry.call(Operation::PutImage, &context, |turn| {
                put_once(registry, turn, image, &tag)
            });
            put.await.unwrap();
        }
    };
    join_all((0..16).map(|_| worker())).await;
}

#[tokio::test(start_paused = true)]
async fn sixteen_workers_with_every_first_attempt_throttled_lose_nothing() {
    let mut world = World::new();
    world.options.put_rate = Rate::Auto;
    let registry = world.registry().await;
    let image = image(&registry, "1.8.0-rc.3").await;
    let throttle_first = Match {
        every: Some(2),
        ..on(Operation::PutImage)
    };
    world.fault(throttle_first, throttle(None));
    let started_at = Instant::now();
    put_by_sixteen_workers(&registry, &image, 200).await;
    let counts = registry.counts(Operation::PutImage);
    assert!(
        started_at.elapsed() < Duration::from_mins(5),
        "{:?}",
        started_at.elapsed()
    );
    assert_eq!(counts.calls - counts.throttled, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_got_lost_shows_as_already_there() {
    let world = World::new();
    let registry = world.registry().await;
    let image = image(&registry, "1.8.0-rc.3").await;
    world.fault(
        Match {
            nth: Some(1),
            ..on(Operation::PutImage)
        },
        Action::DropAfter,
    );
    let (tag, context) = (tag("1.8.0"), CallContext::new(1));
    let put = registry.call(Operation::PutImage, &context, |turn| {
        put_once(&registry, turn, &image, &tag)
    });
    let error = put.await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::AlreadyExists, 2));
}

#[tokio::test(start_paused = true)]
async fn the_quota_is_found_through_the_real_client() {
    let mut world = World::new();
    world.options.put_rate = Rate::Max;
    world.sandbox.set_latency(Duration::from_millis(30));
    world.sandbox.set_quota(Quota::new("PutImage", Some(50.0)));
    let registry = world.registry().await;
    let image = image(&registry, "1.8.0-rc.3").await;
    let started_at = Instant::now();
    put_by_sixteen_workers(&registry, &image, 900).await;
    let took_s = started_at.elapsed().as_secs_f64();
    assert!(took_s <= 1.05 * 900.0 / 50.0 + 10.0, "{took_s}");
    let counts = registry.counts(Operation::PutImage);
    assert!(counts.throttled * 50 < counts.calls, "{counts:?}");
}
