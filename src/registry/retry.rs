//! The one retry loop: the SDK's own is off.

use std::time::Duration;

use super::context::Retry;
use super::{CallContext, Kind, Pace, RegistryError, Turn};
use crate::model::RegistryKey;

/// What a call gave, and how many attempts it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted<T> {
    /// What it gave.
    pub value: T,
    /// The attempts, the last one included.
    pub attempts: u32,
}

/// The longest wait before another attempt, also when the service asks for more.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
/// A throttled call waits no longer than this by itself: slowing down is the pace's affair.
const THROTTLED_WAIT_MAX: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// After this long without any call getting through, waiting on is of no use.
const STUCK_MAX: Duration = Duration::from_mins(5);

/// Makes attempts, each at its turn, until one succeeds or further ones are of no use.
///
/// `attempt` may do several things; whatever it does, the call it was given the turn for is what the turn counts.
/// Throttles are tried again without a limit of tries, until the run ends or no call of this pace got through for
/// five minutes; failures in passing a few times ([`Kind::tries_max`]); all else is final. Waits grow
/// exponentially with full jitter; `Retry-After` is honoured up to [`WAIT_MAX`].
///
/// Once the run is cancelled or its deadline is over, no attempt begins; one under way is awaited.
pub(super) async fn retry<T, F>(
    registry: &RegistryKey,
    pace: &Pace,
    context: &CallContext,
    mut attempt: impl FnMut(Turn) -> F,
) -> Result<Attempted<T>, RegistryError>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let mut last: Option<RegistryError> = None;
    let (mut throttles, mut failures) = (0, 0);
    loop {
        let turn = match pace.turn(context).await {
            Ok(turn) => turn,
            Err(ended) => return Err(blame(ended, last, pace)),
        };
        let attempts = throttles + failures + 1;
        let error = match attempt(turn).await {
            Ok(value) => return Ok(Attempted { value, attempts }),
            Err(error) => error.after_attempts(attempts),
        };
        let alike = match error.kind() {
            Kind::Throttled => &mut throttles,
            _ => &mut failures,
        };
        *alike += 1;
        if error.kind().tries_max().is_some_and(|max| *alike >= max) {
            return Err(error);
        }
        if error.kind() == Kind::Throttled && is_stuck(pace) {
            return Err(error.with_help(
                "no call got through for five minutes; see who else uses the account's quota, and try again later",
            ));
        }
        let wait = wait_after(*alike, &error, context);
        pace.count_retry();
        context.observer().will_retry(&Retry {
            registry,
            operation: pace.operation(),
            error: &error,
            wait,
        });
        if let Err(ended) = context.wait_for(tokio::time::sleep(wait)).await {
            return Err(blame(ended, Some(error), pace));
        }
        last = Some(error);
    }
}

fn is_stuck(pace: &Pace) -> bool {
    pace.stuck_since()
        .is_some_and(|since| since.elapsed() >= STUCK_MAX)
}

/// How long to wait after so many failures alike.
fn wait_after(failures: u32, error: &RegistryError, context: &CallContext) -> Duration {
    let longest = match error.kind() {
        Kind::Throttled => THROTTLED_WAIT_MAX,
        _ => WAIT_MAX,
    };
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait = context.jitter(doubled.min(longest));
    error
        .retry_after_wait()
        .map_or(wait, |asked| asked.min(WAIT_MAX).max(wait))
}

/// The run ended before the next attempt: says so, and what the last attempt had come to.
fn blame(ended: RegistryError, last: Option<RegistryError>, pace: &Pace) -> RegistryError {
    match last {
        None => ended.during(pace.operation(), None).after_attempts(0),
        Some(last) => {
            let cause = last.clone();
            ended
                .during(pace.operation(), last.repository())
                .on_tag(last.tag())
                .after_attempts(last.attempts())
                .caused_by(&cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Operation, Rate};

    #[test]
    fn calls_can_be_spawned() {
        fn is_send<T: Send>(value: T) -> T {
            value
        }
        let (context, key) = (CallContext::new(0), RegistryKey::default());
        let pace = Pace::new(Operation::PutImage, Rate::Auto, None);
        drop(is_send(retry(&key, &pace, &context, |turn| async {
            drop(turn);
            tokio::time::sleep(Duration::ZERO).await;
            Ok(())
        })));
    }
}
