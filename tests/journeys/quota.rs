//! A quota that nobody told, found over loopback by the real clock.
//!
//! `QUOTA=10` searches for another one, of 10, 25, 100 and 500 a second as in `CONTRIBUTING.md`; it takes as long as
//! 3,000 changes take at that rate.

use std::time::Duration;

use ecr_retag::sandbox::Quota;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::loopback::{Loopback, ended};

/// A second, and how many of the `PutImage` calls in it were made and throttled.
struct Span {
    calls: usize,
    throttled: usize,
}

impl Loopback {
    /// The `PutImage` calls since then.
    fn puts_since(&self, from: Timestamp) -> Span {
        let mut span = Span {
            calls: 0,
            throttled: 0,
        };
        for call in self.sandbox.calls() {
            if call.operation == "PutImage" && call.at >= from {
                span.calls += 1;
                span.throttled += usize::from(call.status != Some(200));
            }
        }
        span
    }
}

impl Span {
    /// Fewer than 2 % of the calls, or ten calls in a short run.
    ///
    /// On a machine that does other work, answers are heard late: then all calls in flight may be throttled before
    /// the first of them is known to be. A run that somebody watches is not excused.
    fn is_gentle(&self) -> bool {
        let storm = if is_watched() { 0 } else { IN_FLIGHT };
        self.throttled <= 10.max(self.calls / 50) + storm
    }
}

/// How many calls the program has in flight unless told otherwise.
const IN_FLIGHT: usize = 16;

fn asked() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a longer run is asked for by it")]
    std::env::var("QUOTA").ok()
}

/// Whether a longer run was asked for.
fn is_watched() -> bool {
    asked().is_some()
}

fn quota() -> (f64, usize) {
    asked().map_or((100.0, 600), |text| (text.parse().unwrap(), 3_000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_takes_little_longer_than_the_quota_asks_for() {
    let (per_second, changes) = quota();
    let loopback = Loopback::start(changes).await;
    loopback.sandbox.set_latency(Duration::from_millis(10));
    loopback
        .sandbox
        .set_quota(Quota::new("PutImage", Some(per_second)));
    let began_at = Instant::now();
    assert_eq!(
        ended(&mut loopback.apply(&["--put-rate", "max"])).await.code(),
        Some(0)
    );
    let took_s = began_at.elapsed().as_secs_f64();
    let span = loopback.puts_since(Timestamp::MIN);
    eprintln!(
        "max, {per_second}/s: {changes} changes in {took_s:.1} s, {} of {} calls throttled",
        span.throttled, span.calls
    );
    #[expect(clippy::cast_precision_loss, reason = "few enough")]
    let limit_s = 1.05 * changes as f64 / per_second + 10.0;
    assert!(took_s <= limit_s, "{took_s} s of {limit_s} s");
    assert!(span.is_gentle(), "{} of {}", span.throttled, span.calls);
    assert_eq!(loopback.copied().len(), changes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_leaves_a_tenth_of_the_quota_to_others() {
    // Enough to climb to it, to use up the calls that a rested account may make at once, and to settle.
    let (per_second, changes) = match quota() {
        (per_second, _) if is_watched() && per_second > 100.0 => (per_second, 10_000),
        (per_second, changes) if is_watched() => (per_second, changes),
        _ => (30.0, 700),
    };
    let loopback = Loopback::start(changes).await;
    loopback
        .sandbox
        .set_quota(Quota::new("PutImage", Some(per_second)));
    let mut child = loopback.apply(&["--put-rate", "auto"]);
    // By then the quota has been found.
    loopback.until_written(changes as u64 * 2 / 3).await;
    #[expect(clippy::disallowed_methods, reason = "the calls are noted by the real time")]
    let found_at = Timestamp::now();
    assert_eq!(ended(&mut child).await.code(), Some(0));
    let span = loopback.puts_since(found_at);
    let last = loopback.sandbox.calls().last().unwrap().at;
    #[expect(clippy::cast_precision_loss, reason = "few enough")]
    let share =
        (span.calls - span.throttled) as f64 / last.duration_since(found_at).as_secs_f64() / per_second;
    let all = loopback.puts_since(Timestamp::MIN);
    eprintln!(
        "auto, {per_second}/s: {share:.2} of the quota, {} of {} calls throttled",
        all.throttled, all.calls
    );
    assert!((0.8..=1.0).contains(&share), "{share}");
    assert!(all.is_gentle(), "{} of {}", all.throttled, all.calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halved_quota_is_obeyed_within_ten_seconds() {
    let (per_second, changes) = quota();
    let loopback = Loopback::start(changes * 3 / 2).await;
    loopback
        .sandbox
        .set_quota(Quota::new("PutImage", Some(per_second)));
    let mut child = loopback.apply(&["--put-rate", "max"]);
    loopback.until_written(changes as u64 / 3).await;
    loopback
        .sandbox
        .set_quota(Quota::new("PutImage", Some(per_second / 2.0)));
    sleep(Duration::from_secs(10)).await;
    #[expect(clippy::disallowed_methods, reason = "the calls are noted by the real time")]
    let settled_at = Timestamp::now();
    assert_eq!(ended(&mut child).await.code(), Some(0));
    let span = loopback.puts_since(settled_at);
    assert!(span.calls > 0, "it ended before the quota was halved");
    assert!(span.is_gentle(), "{} of {}", span.throttled, span.calls);
    assert_eq!(loopback.copied().len(), changes * 3 / 2);
}
