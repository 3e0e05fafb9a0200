//! How fast calls may go: finds the quota that nobody tells, and keeps just under it.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// How fast calls may go at first, and how the quota is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rate {
    /// Finds the quota slowly and stays a tenth under it, since every push of the account shares it.
    #[default]
    Auto,
    /// Finds the quota quickly and uses all of it.
    Max,
    /// This many calls per second, fewer only while they are throttled.
    Fixed(f64),
    /// As fast as callers ask, until a call is throttled.
    Unlimited,
}

/// The text names no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate: `auto`, `max` or a number of calls per second is expected")]
pub struct InvalidRate(String);

impl FromStr for Rate {
    type Err = InvalidRate;

    /// Reads `auto`, `max` or a number of calls per second above zero.
    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        match text {
            "auto" => Ok(Self::Auto),
            "max" => Ok(Self::Max),
            number => match number.parse::<f64>() {
                Ok(per_second) if per_second.is_finite() && per_second > 0.0 => Ok(Self::Fixed(per_second)),
                _ => Err(InvalidRate(number.to_owned())),
            },
        }
    }
}

/// The state of a search; pure, times are arguments.
#[derive(Debug)]
pub struct Search {
    per_second: f64,
    per_second_max: f64,
    slowed_at: Option<Instant>,
}

impl Search {
    /// A search that begins at `rate` and never goes above `per_second_max`.
    pub fn new(rate: Rate, per_second_max: Option<f64>) -> Self {
        let per_second_max = per_second_max.unwrap_or(f64::INFINITY);
        let start = match rate {
            Rate::Auto => 9.0,
            Rate::Max => 10.0,
            Rate::Fixed(per_second) => per_second,
            Rate::Unlimited => f64::INFINITY,
        };
        Self {
            per_second: start.min(per_second_max),
            per_second_max,
            slowed_at: None,
        }
    }

    /// The calls per second that are allowed now.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// The time from one call to the next; none if there is no limit.
    pub fn interval(&self) -> Option<Duration> {
        self.per_second
            .is_finite()
            .then(|| Duration::from_secs_f64(1.0 / self.per_second))
    }

    /// A call was let go; `has_waited` says whether the pace held it up.
    pub fn on_turn(&mut self, _now: Instant, _has_waited: bool) {}

    /// A call got through.
    pub fn on_success(&mut self, _now: Instant) {
        self.per_second = (self.per_second * 1.01).min(self.per_second_max);
    }

    /// A call that was let go at `sent_at` was throttled.
    pub fn on_throttle(&mut self, now: Instant, sent_at: Instant) {
        if self.slowed_at.is_none_or(|slowed_at| sent_at > slowed_at) {
            self.slowed_at = Some(now);
            self.per_second = (self.per_second.min(200.0) * 0.7).max(0.5);
        }
    }
}
