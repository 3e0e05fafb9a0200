//! How fast calls may go: finds the quota that nobody tells, and keeps just under it.
//!
//! AWS counts calls with a token bucket: it fills at the quota's rate, a call takes a token out, and a call that
//! finds it empty is throttled. A throttle therefore tells two things. The rate just now was above the quota; and
//! the bucket is empty, so that from here to the next throttle exactly as many calls get through as the quota
//! allows, however large the bucket is, unless it overflows in between, when fewer do. So the quota lies between the
//! two: what got through on average since the last throttle, and the rate at which the next one came. The search
//! grows until it is throttled, falls back, and closes in until both are near each other.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// How fast calls may go at first, and how the quota is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rate {
    /// Finds the quota gently and stays a tenth under it, since every push of the account shares it.
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

impl Rate {
    /// The calls per second to begin with.
    pub fn start(self) -> f64 {
        match self {
            Self::Auto => 9.0,
            Self::Max => 10.0,
            Self::Fixed(per_second) => per_second,
            Self::Unlimited => f64::INFINITY,
        }
    }

    /// How much of the quota is used once it is found.
    fn share(self) -> f64 {
        match self {
            Self::Auto => 0.9,
            Self::Max | Self::Fixed(_) => 0.98,
            Self::Unlimited => 0.95,
        }
    }
}

/// The state of a search; pure, times are arguments.
#[derive(Debug)]
pub(super) struct Search {
    rate: Rate,
    per_second: f64,
    per_second_max: f64,
    phase: Phase,
    /// When it last slowed down: throttles of calls that went before are part of the same storm.
    slowed_at: Option<Instant>,
    last_turn: Option<Instant>,
    /// When calls of the last second got through.
    recent: VecDeque<Instant>,
    /// How long it stays settled before it looks again.
    look_pause: Duration,
    /// Since when the bucket has not been seen empty, and how many calls have got through since then.
    since_empty: Option<(Instant, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing was throttled yet.
    Ramp,
    /// Something was: growing again, by this factor a second, towards the next throttle. Between the last two,
    /// `average` calls per second got through.
    CloseIn { growth: f64, average: Option<f64> },
    /// Just under the quota found, until it is time to look again.
    Settled { quota: f64, look_at: Instant },
    /// Growing a little, to see whether the quota is higher now.
    Look { quota: f64 },
}

/// Growth per second of `auto` until the first throttle.
const GROWTH_AUTO: f64 = 1.25;

/// How long `max` takes to double its rate.
const DOUBLING_S: f64 = 1.25;

/// Growth per second while the quota is unknown within a wide range, within a narrow one, and when looking again.
const GROWTH_WIDE: f64 = 1.10;
const GROWTH_NARROW: f64 = 1.03;
const GROWTH_LOOK: f64 = 1.05;

/// The quota is found when its two bounds are this near, or when the lower one came out the same twice.
const NEAR: f64 = 1.10;
const SAME: f64 = 0.05;

/// How far below its lower bound closing in on the quota begins, so that it meets enough calls on the way up.
const BELOW: f64 = 0.95;

/// What a throttle takes off a rate that was thought to be under the quota.
const BACK_OFF: f64 = 0.9;

/// Fewer calls than this between two throttles say nothing about the quota: it is still much too fast.
const CALLS_MIN: u32 = 10;

/// However much is throttled, calls do not go slower than this: ECR's lowest published quota is 10/s, so that others
/// take nearly all of it, and waiting longer would not leave more.
const PER_SECOND_MIN: f64 = 2.0;

/// How long it stays settled the first time; each time twice as long, up to the most, unless it is `max`.
const LOOK_PAUSE_MIN: Duration = Duration::from_secs(15);
const LOOK_PAUSE_MAX: Duration = Duration::from_mins(4);

impl Search {
    /// A search that begins at `rate` and never goes above `per_second_max`.
    pub(super) fn new(rate: Rate, per_second_max: Option<f64>) -> Self {
        let per_second_max = match rate {
            Rate::Fixed(per_second) => per_second_max.unwrap_or(per_second).min(per_second),
            Rate::Auto | Rate::Max | Rate::Unlimited => per_second_max.unwrap_or(f64::INFINITY),
        };
        Self {
            rate,
            per_second: rate.start().min(per_second_max),
            per_second_max,
            phase: Phase::Ramp,
            slowed_at: None,
            last_turn: None,
            recent: VecDeque::new(),
            look_pause: LOOK_PAUSE_MIN,
            since_empty: None,
        }
    }

    /// The calls per second that are allowed now.
    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// The time from one call to the next; none if there is no limit.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.per_second
            .is_finite()
            .then(|| Duration::from_secs_f64(1.0 / self.per_second))
    }

    /// A call was let go; `has_waited` says whether the pace held it up.
    ///
    /// Only then does the rate grow: callers that are slower by themselves would let it grow out of all measure.
    pub(super) fn on_turn(&mut self, now: Instant, has_waited: bool) {
        let elapsed = self
            .last_turn
            .replace(now)
            .map_or(Duration::ZERO, |last| now - last);
        let elapsed_s = elapsed.as_secs_f64().min(1.0);
        if !has_waited {
            return;
        }
        let grown = match self.phase {
            Phase::Ramp => match self.rate {
                Rate::Auto => self.per_second * GROWTH_AUTO.powf(elapsed_s),
                Rate::Max => self.per_second * (elapsed_s / DOUBLING_S).exp2(),
                Rate::Fixed(_) | Rate::Unlimited => self.per_second,
            },
            Phase::CloseIn { growth, .. } => self.per_second * growth.powf(elapsed_s),
            Phase::Look { .. } => self.per_second * GROWTH_LOOK.powf(elapsed_s),
            Phase::Settled { quota, look_at } => {
                if look_at <= now {
                    self.phase = Phase::Look { quota };
                }
                self.per_second
            }
        };
        self.set(grown);
    }

    /// A call got through.
    pub(super) fn on_success(&mut self, now: Instant) {
        while self
            .recent
            .front()
            .is_some_and(|&at| now - at > Duration::from_secs(1))
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if let Some((_, calls)) = &mut self.since_empty {
            *calls = calls.saturating_add(1);
        }
    }

    /// A call that was let go at `sent_at` was throttled.
    pub(super) fn on_throttle(&mut self, now: Instant, sent_at: Instant) {
        let between = self.since_empty.replace((now, 0));
        if self.slowed_at.is_some_and(|slowed_at| sent_at <= slowed_at) {
            return;
        }
        self.slowed_at = Some(now);
        let average = between
            .filter(|&(_, calls)| calls >= CALLS_MIN)
            .map(|(since, calls)| f64::from(calls) / (now - since).as_secs_f64());
        let Some(average) = average else {
            return self.fall_back();
        };
        match self.phase {
            Phase::Ramp => self.fall_back(),
            Phase::Settled { .. } => {
                // Fewer calls than thought: the quota has shrunk, or others use it too.
                self.look_pause = LOOK_PAUSE_MIN;
                self.close_in(self.per_second * BACK_OFF, GROWTH_NARROW, None);
            }
            // As it was, or a little more than was thought: nothing to search for.
            Phase::Look { quota } if average <= quota * (1.0 + SAME) && quota <= self.per_second => {
                self.settle(quota.max(average), now);
            }
            Phase::CloseIn { average: before, .. } if self.is_found(average, before) => {
                self.settle(average, now);
            }
            Phase::CloseIn { .. } | Phase::Look { .. } => {
                self.close_in(average * BELOW, GROWTH_NARROW, Some(average));
            }
        }
    }

    fn is_found(&self, average: f64, before: Option<f64>) -> bool {
        self.per_second <= average * NEAR
            || before.is_some_and(|before| (average / before - 1.0).abs() <= SAME)
    }

    fn settle(&mut self, quota: f64, now: Instant) {
        self.set(quota * self.rate.share());
        self.phase = Phase::Settled {
            quota,
            look_at: now + self.look_pause,
        };
        // What `max` leaves of the quota gathers in the bucket, and is lost once that is full: it looks before.
        self.look_pause = match self.rate {
            Rate::Max => LOOK_PAUSE_MIN,
            _ => (self.look_pause * 2).min(LOOK_PAUSE_MAX),
        };
    }

    fn close_in(&mut self, per_second: f64, growth: f64, average: Option<f64>) {
        self.set(per_second);
        self.phase = Phase::CloseIn { growth, average };
    }

    /// Goes well below what got through in the last second, which a full bucket may have doubled.
    fn fall_back(&mut self) {
        let half = f64::from(u32::try_from(self.recent.len()).unwrap_or(u32::MAX)) / 2.0;
        let per_second = if self.per_second.is_finite() {
            half.clamp(self.per_second * 0.25, self.per_second * 0.7)
        } else {
            half
        };
        self.close_in(per_second, GROWTH_WIDE, None);
    }

    fn set(&mut self, per_second: f64) {
        self.per_second = per_second.max(PER_SECOND_MIN).min(self.per_second_max);
    }
}
