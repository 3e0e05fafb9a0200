//! The pace against a quota that nobody tells it, on virtual time.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a test are small"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::*;
use crate::model::RegistryKey;
use crate::registry::retry::retry;

/// A token bucket, as AWS counts calls: it fills at the quota's rate and holds what a burst may take.
struct Quota {
    per_second: f64,
    burst_s: f64,
    tokens: f64,
    seen_at: Instant,
}

impl Quota {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let filled = self.tokens + (now - self.seen_at).as_secs_f64() * self.per_second;
        self.seen_at = now;
        self.tokens = filled.min((self.per_second * self.burst_s).max(1.0));
        let has_token = self.tokens >= 1.0;
        if has_token {
            self.tokens -= 1.0;
        }
        has_token
    }
}

/// A server with a quota, 50 ms away, and what it answered.
#[derive(Clone)]
struct Server {
    quota: Arc<Mutex<Quota>>,
    answers: Arc<Mutex<Vec<(Instant, bool)>>>,
    started_at: Instant,
}

impl Server {
    fn new(per_second: f64, burst_s: f64) -> Self {
        Self {
            quota: Arc::new(Mutex::new(Quota {
                per_second,
                burst_s,
                tokens: per_second * burst_s,
                seen_at: Instant::now(),
            })),
            answers: Arc::default(),
            started_at: Instant::now(),
        }
    }

    async fn put(&self, turn: Turn) -> Result<(), RegistryError> {
        sleep(Duration::from_millis(25)).await;
        let is_ok = self.quota.lock().unwrap().take();
        self.answers.lock().unwrap().push((Instant::now(), is_ok));
        sleep(Duration::from_millis(25)).await;
        let answer = if is_ok {
            Ok(())
        } else {
            Err(RegistryError::new(Kind::Throttled, "Rate exceeded"))
        };
        turn.settle(&answer);
        answer
    }

    fn set_quota(&self, per_second: f64) {
        let mut quota = self.quota.lock().unwrap();
        quota.take();
        quota.per_second = per_second;
    }

    /// Calls answered, and of them throttled, from one second of the run to another.
    fn between(&self, from_s: f64, to_s: f64) -> (usize, usize) {
        let answers = self.answers.lock().unwrap();
        let within = answers.iter().filter(|(at, _)| {
            let at = (*at - self.started_at).as_secs_f64();
            (from_s..to_s).contains(&at)
        });
        let (mut calls, mut throttled) = (0, 0);
        for (_, is_ok) in within {
            calls += 1;
            throttled += usize::from(!is_ok);
        }
        (calls, throttled)
    }

    fn elapsed_s(&self) -> f64 {
        self.started_at.elapsed().as_secs_f64()
    }

    /// Makes calls until so many got through.
    async fn run(&self, pace: &Pace, calls: usize, workers: usize) {
        let context = CallContext::new(7);
        let key = RegistryKey::default();
        let begun = AtomicUsize::new(0);
        let work = || async {
            while begun.fetch_add(1, Ordering::Relaxed) < calls {
                retry(&key, pace, &context, |turn| self.put(turn)).await.unwrap();
            }
        };
        join_all((0..workers).map(|_| work())).await;
    }
}

fn pace(rate: Rate) -> Pace {
    Pace::new(Operation::PutImage, rate, None)
}

/// A run of 3,000 calls against a quota; `workers` at once.
async fn run(rate: Rate, quota: f64, workers: usize) -> (Server, Pace) {
    let (server, pace) = (Server::new(quota, 1.0), pace(rate));
    server.run(&pace, 3_000, workers).await;
    (server, pace)
}

fn percent((calls, throttled): (usize, usize)) -> f64 {
    100.0 * throttled as f64 / calls as f64
}

#[tokio::test(start_paused = true)]
async fn max_uses_a_quota_that_nobody_told() {
    for (quota, workers) in [(10.0, 16), (25.0, 16), (100.0, 16), (500.0, 64)] {
        let (server, _) = run(Rate::Max, quota, workers).await;
        let took_s = server.elapsed_s();
        assert!(took_s <= 1.05 * 3_000.0 / quota + 10.0, "{quota}: {took_s}");
        assert!(percent(server.between(0.0, took_s)) < 2.0, "{quota}");
    }
}

#[tokio::test(start_paused = true)]
async fn max_leaves_nothing_of_a_quota_in_a_long_run() {
    for (quota, burst_s) in [(10.0, 1.0), (10.0, 0.5), (25.0, 1.0)] {
        let (server, pace) = (Server::new(quota, burst_s), pace(Rate::Max));
        server.run(&pace, (1_000.0 * quota) as usize, 16).await;
        let took_s = server.elapsed_s();
        assert!(took_s <= 1_002.0, "{quota} {burst_s}: {took_s}");
        let throttled = percent(server.between(0.0, f64::INFINITY));
        assert!(throttled < 1.0, "{quota} {burst_s}: {throttled}");
    }
}

#[tokio::test(start_paused = true)]
async fn auto_keeps_a_tenth_under_the_quota_once_found() {
    for (quota, workers) in [(10.0, 16), (25.0, 16), (100.0, 16), (500.0, 64)] {
        let (server, pace) = (Server::new(quota, 1.0), pace(Rate::Auto));
        // It grows by a quarter a second, empties the bucket, falls back and closes in.
        let found_s = 60.0;
        server
            .run(&pace, 3_000 + (found_s * quota) as usize, workers)
            .await;
        let took_s = server.elapsed_s();
        let (late, throttled) = server.between(found_s, took_s);
        let share = (late - throttled) as f64 / (took_s - found_s) / quota;
        assert!((0.85..=0.95).contains(&share), "{quota}: {share}");
        assert!(
            (0.85..=0.95).contains(&(pace.per_second() / quota)),
            "{quota}: {}",
            pace.per_second()
        );
        assert!(percent(server.between(0.0, took_s)) < 2.0, "{quota}");
    }
}

#[tokio::test(start_paused = true)]
async fn auto_throttles_few_of_three_thousand_calls() {
    for (quota, workers) in [(10.0, 16), (25.0, 16), (100.0, 16), (500.0, 64)] {
        let (server, _) = run(Rate::Auto, quota, workers).await;
        let all = server.between(0.0, f64::INFINITY);
        assert!(percent(all) < 2.0 || all.1 <= 10, "{quota}: {all:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_halved_quota_is_obeyed_within_ten_seconds() {
    for (quota, workers) in [(10.0, 16), (25.0, 16), (100.0, 16), (500.0, 64)] {
        for rate in [Rate::Auto, Rate::Max, Rate::Fixed(quota * 0.95)] {
            let (server, pace) = (Server::new(quota, 1.0), pace(rate));
            let halved_s = 1_500.0 / quota;
            let halve = async {
                sleep(Duration::from_secs_f64(halved_s)).await;
                server.set_quota(quota / 2.0);
            };
            futures::join!(server.run(&pace, 6_000, workers), halve);
            let after = server.between(halved_s + 10.0, server.elapsed_s());
            assert!(percent(after) < 2.0, "{quota} {rate:?}: {after:?}");
            let soon = server.between(halved_s + 10.0, halved_s + 20.0);
            assert!(soon.1 <= 1 || percent(soon) < 2.0, "{quota} {rate:?}: {soon:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_larger_quota_is_found_again() {
    let (server, pace) = (Server::new(10.0, 1.0), pace(Rate::Max));
    let raise = async {
        sleep(Duration::from_mins(1)).await;
        server.set_quota(40.0);
    };
    futures::join!(server.run(&pace, 12_000, 16), raise);
    assert!(
        (35.0..=40.0).contains(&pace.per_second()),
        "{}",
        pace.per_second()
    );
}

#[tokio::test(start_paused = true)]
async fn a_storm_counts_once_and_nothing_fails() {
    let (server, pace) = (Server::new(10.0, 1.0), pace(Rate::Auto));
    server.quota.lock().unwrap().tokens = -16.0;
    server.run(&pace, 200, 16).await;
    let (calls, throttled) = server.between(0.0, f64::INFINITY);
    assert_eq!(calls - throttled, 200);
    assert!(server.elapsed_s() < 60.0, "{}", server.elapsed_s());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_feels_a_slow_down() {
    let (context, pace) = (CallContext::new(0), pace(Rate::Fixed(100.0)));
    let first = pace.turn(&context).await.unwrap();
    let waiting = [pace.turn(&context), pace.turn(&context)];
    let throttle = async {
        let throttled: Result<(), _> = Err(RegistryError::new(Kind::Throttled, ""));
        first.settle(&throttled);
    };
    let started_at = Instant::now();
    let (turns, ()) = futures::join!(join_all(waiting), throttle);
    let last = turns.last().unwrap().as_ref().unwrap().given_at();
    // From 100/s to a quarter of that: 40 ms each.
    assert_eq!((last - started_at).as_millis(), 80);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_used_goes_to_the_next() {
    let (context, pace) = (CallContext::new(0), pace(Rate::Fixed(1.0)));
    let started_at = Instant::now();
    for _ in 0..10 {
        drop(pace.turn(&context).await.unwrap());
    }
    assert_eq!(started_at.elapsed(), Duration::ZERO);
    assert_eq!(pace.counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn a_fixed_rate_is_kept_and_a_ceiling_holds() {
    for pace in [
        pace(Rate::Fixed(40.0)),
        Pace::new(Operation::PutImage, Rate::Max, Some(40.0)),
        Pace::new(Operation::PutImage, Rate::Fixed(100.0), Some(40.0)),
    ] {
        let server = Server::new(1_000.0, 1.0);
        server.run(&pace, 800, 16).await;
        let rest_s = server.elapsed_s() - 10.0;
        let (calls, _) = server.between(5.0, 5.0 + rest_s);
        assert!((calls as f64 / rest_s - 40.0).abs() < 0.5, "{calls} in {rest_s}");
        assert!((pace.per_second() - 40.0).abs() < f64::EPSILON);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_callers_do_not_let_the_rate_grow() {
    let (server, pace) = (Server::new(1_000.0, 1.0), pace(Rate::Max));
    // One worker, 50 ms a call: 20 a second.
    server.run(&pace, 1_000, 1).await;
    assert!(pace.per_second() <= 40.0, "{}", pace.per_second());
}

#[tokio::test(start_paused = true)]
async fn reads_have_no_limit_until_they_are_throttled() {
    let pace = Pace::new(Operation::ListImages, Rate::Unlimited, None);
    let server = Server::new(100.0, 1.0);
    server.run(&pace, 90, 16).await;
    assert!(pace.per_second().is_infinite());
    assert!(server.elapsed_s() < 0.4, "{}", server.elapsed_s());
    server.run(&pace, 3_000, 16).await;
    assert!(pace.per_second().is_finite());
    assert!(server.elapsed_s() < 36.0, "{}", server.elapsed_s());
    assert!(percent(server.between(0.0, f64::INFINITY)) < 2.0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_run_ends_the_wait() {
    let pace = pace(Rate::Fixed(0.01));
    let context = CallContext::new(0);
    pace.turn(&context).await.unwrap().settle(&Ok(()));
    let ending = context
        .clone()
        .with_deadline(Some(Instant::now() + Duration::from_secs(3)));
    assert_eq!(pace.turn(&ending).await.unwrap_err().kind(), Kind::DeadlineOver);
    let cancel = async {
        sleep(Duration::from_secs(1)).await;
        context.cancel().cancel();
    };
    let (turn, ()) = futures::join!(pace.turn(&context), cancel);
    assert_eq!(turn.unwrap_err().kind(), Kind::Cancelled);
}
