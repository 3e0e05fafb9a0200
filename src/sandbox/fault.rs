//! Scripted and seeded faults: what can go wrong between a client and ECR.
//!
//! A [`FaultPlan`] is a list of rules. Each says for which calls (`match`), how often (`times`) and what (`action`):
//!
//! ```yaml
//! seed: 7
//! rules:
//!   - match: { operation: PutImage, every: 3 }
//!     action: { throttle: { shape: 429-bare, retry_after_seconds: 1 } }
//!   - match: { operation: PutImage, probability: 0.2 }
//!     action: drop-after
//!   - match: { operation: BatchGetImage, nth: 4 }
//!     action: { writer: { tag: stable, move_to: { tag: 1.7.2 } } }
//!   - match: { after_ms: 60000 }
//!     times: 1
//!     action: expire-credentials
//! ```
//!
//! Rules are tried in order, and all that apply to a call act on it; of several that would answer it, the first does.

mod writer;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use writer::{MoveTo, Writer};

use super::calls::Call;
use super::quota::Quota;
use super::state::ErrorAnswer;
use crate::model::{AccountId, Region, wildcard_matches};
use crate::yaml::{self, YamlError};

/// Which faults happen when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Where all randomness comes from.
    #[serde(default)]
    pub seed: u64,
    /// The rules, tried in order.
    #[serde(default)]
    pub rules: Vec<FaultRule>,
}

/// One fault and the calls it happens to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The calls it may happen to.
    #[serde(default, rename = "match")]
    pub on: Match,
    /// How often it happens at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub action: Action,
}

/// Chooses calls: each member that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The operation, such as `PutImage`; without it any operation of ECR, but none of STS.
    pub operation: Option<String>,
    /// The repository's name; `*` stands for any text.
    pub repository: Option<String>,
    /// A tag that the call names; `*` stands for any text.
    pub tag: Option<String>,
    /// The account that calls.
    pub account: Option<AccountId>,
    /// The region it calls in.
    pub region: Option<Region>,
    /// Only the n-th call that the members above choose, from 1.
    pub nth: Option<u64>,
    /// From the n-th such call on.
    pub from: Option<u64>,
    /// Each n-th such call.
    pub every: Option<u64>,
    /// The share of such calls, 0 to 1, chosen by the seed.
    pub probability: Option<f64>,
    /// Not before so many milliseconds after the first call that the plan saw.
    pub after_ms: Option<u64>,
    /// Only before so many milliseconds after the first call that the plan saw.
    pub until_ms: Option<u64>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// The call is throttled, without effect.
    Throttle(Throttle),
    /// 500 `ServerException`, without effect.
    ServerError,
    /// 503 with no body, without effect.
    Unavailable,
    /// Any other error, without effect.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code.
        code: String,
        /// The message.
        #[serde(default)]
        message: String,
    },
    /// `AccessDeniedException`, of STS `AccessDenied`, without effect.
    Deny,
    /// The credentials of this call are expired from now on: `ExpiredTokenException`, without effect.
    ExpireCredentials,
    /// The answer takes longer.
    Slow {
        /// How much longer, in milliseconds.
        ms: u64,
        /// Whether the time passes after the call took effect, rather than before.
        #[serde(default)]
        after_effect: bool,
    },
    /// The connection breaks before the call takes effect.
    DropBefore,
    /// The call takes effect, then the connection breaks.
    DropAfter,
    /// The call takes effect, then the connection breaks within the body of the answer.
    Truncate,
    /// The call takes effect and is answered with 200 and a body that is not JSON.
    Garbage,
    /// The call takes effect, and the manifests in its answer end with one more line break, so that their digests
    /// are others: what a proxy does that writes JSON anew.
    Reformat,
    /// Someone else writes right before the call.
    Writer(Writer),
    /// A quota changes before the call.
    Quota(Quota),
}

/// A throttle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttle {
    /// How it looks on the wire.
    pub shape: ThrottleShape,
    /// The `Retry-After` header, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// The `x-amz-retry-after` header, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// How a throttle looks on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThrottleShape {
    /// 400 `ThrottlingException`, as is seen most.
    #[default]
    #[serde(rename = "400-throttling-exception")]
    ThrottlingException,
    /// 400 `ThrottleException`.
    #[serde(rename = "400-throttle-exception")]
    ThrottleException,
    /// 400 `TooManyRequestsException`.
    #[serde(rename = "400-too-many-requests-exception")]
    TooManyRequestsException,
    /// 429 `ThrottleException`, as the AWS docs have it.
    #[serde(rename = "429-throttle-exception")]
    ThrottleException429,
    /// 429 with an empty body.
    #[serde(rename = "429-bare")]
    Bare429,
    /// 503 `ThrottlingException`.
    #[serde(rename = "503-throttling-exception")]
    ThrottlingException503,
    /// 503 with an empty body.
    #[serde(rename = "503-bare")]
    Bare503,
}

impl FaultPlan {
    /// Reads a fault plan, YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, YamlError> {
        yaml::from_str(text)
    }
}

impl ThrottleShape {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ThrottlingException,
        Self::ThrottleException,
        Self::TooManyRequestsException,
        Self::ThrottleException429,
        Self::Bare429,
        Self::ThrottlingException503,
        Self::Bare503,
    ];

    /// The status, and the error code if there is a body.
    pub fn status_and_code(self) -> (u16, Option<&'static str>) {
        match self {
            Self::ThrottlingException => (400, Some("ThrottlingException")),
            Self::ThrottleException => (400, Some("ThrottleException")),
            Self::TooManyRequestsException => (400, Some("TooManyRequestsException")),
            Self::ThrottleException429 => (429, Some("ThrottleException")),
            Self::Bare429 => (429, None),
            Self::ThrottlingException503 => (503, Some("ThrottlingException")),
            Self::Bare503 => (503, None),
        }
    }
}

/// A fault plan in force: how often each rule applied so far, and its random numbers.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: Vec<Counted>,
    rng: fastrand::Rng,
    started_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Counted {
    rule: FaultRule,
    matched: u64,
    happened: u64,
}

/// What the faults make of one call.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub delay_before: Duration,
    pub delay_after: Duration,
    pub writers: Vec<Writer>,
    pub quotas: Vec<Quota>,
    pub expires_credentials: bool,
    pub instead: Option<Instead>,
    pub spoil: Option<Spoil>,
}

/// What happens instead of the call.
#[derive(Debug)]
pub(super) enum Instead {
    Drop,
    Deny,
    Error(ErrorAnswer),
    Bare(u16),
    Throttle(Throttle),
}

/// What becomes of the answer of a call that took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoil {
    Drop,
    Truncate,
    Garbage,
    Reformat,
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::new(FaultPlan::default())
    }

    /// Puts a plan in force, with all counts at zero.
    pub fn new(plan: FaultPlan) -> Self {
        let counted = |rule| Counted {
            rule,
            matched: 0,
            happened: 0,
        };
        Self {
            rules: plan.rules.into_iter().map(counted).collect(),
            rng: fastrand::Rng::with_seed(plan.seed),
            started_at: None,
        }
    }

    pub(super) fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    pub(super) fn judge(&mut self, call: &Call) -> Verdict {
        let started_at = *self.started_at.get_or_insert(call.at);
        let elapsed_ms = u64::try_from(call.at.duration_since(started_at).as_millis()).unwrap_or_default();
        let mut verdict = Verdict::default();
        for counted in &mut self.rules {
            if counted.happens_to(call, elapsed_ms, &mut self.rng) {
                verdict.add(counted.rule.action.clone());
            }
        }
        verdict
    }
}

impl Counted {
    fn happens_to(&mut self, call: &Call, elapsed_ms: u64, rng: &mut fastrand::Rng) -> bool {
        let on = &self.rule.on;
        if !on.chooses(call) {
            return false;
        }
        self.matched += 1;
        let n = self.matched;
        // The dice are thrown for each chosen call, so that other conditions do not shift the sequence.
        let is_drawn = on.probability.is_none_or(|share| rng.f64() < share);
        let happens = is_drawn
            && on.nth.is_none_or(|nth| n == nth)
            && on.from.is_none_or(|from| n >= from)
            && on.every.is_none_or(|every| n.is_multiple_of(every.max(1)))
            && on.after_ms.is_none_or(|after| elapsed_ms >= after)
            && on.until_ms.is_none_or(|until| elapsed_ms < until)
            && self.rule.times.is_none_or(|times| self.happened < times);
        self.happened += u64::from(happens);
        happens
    }
}

impl Match {
    fn chooses(&self, call: &Call) -> bool {
        let is_operation = self
            .operation
            .as_ref()
            .map_or(!call.is_sts, |operation| *operation == call.operation);
        let caller = call.caller.as_ref();
        is_operation
            && self.repository.as_ref().is_none_or(|pattern| {
                call.repository
                    .as_ref()
                    .is_some_and(|name| wildcard_matches(pattern, name.as_str()))
            })
            && self
                .tag
                .as_ref()
                .is_none_or(|pattern| call.tags.iter().any(|tag| wildcard_matches(pattern, tag)))
            && self
                .account
                .as_ref()
                .is_none_or(|account| caller.is_some_and(|caller| caller.account == *account))
            && self
                .region
                .as_ref()
                .is_none_or(|region| caller.is_some_and(|caller| caller.region == *region))
    }
}

impl Verdict {
    fn add(&mut self, action: Action) {
        match action {
            Action::Throttle(throttle) => self.answer(Instead::Throttle(throttle)),
            Action::ServerError => self.answer(Instead::Error(ErrorAnswer::new(
                500,
                "ServerException",
                "An internal failure occurred",
            ))),
            Action::Unavailable => self.answer(Instead::Bare(503)),
            Action::Error {
                status,
                code,
                message,
            } => self.answer(Instead::Error(ErrorAnswer::new(status, code, message))),
            Action::Deny => self.answer(Instead::Deny),
            Action::ExpireCredentials => self.expires_credentials = true,
            Action::Slow { ms, after_effect } => {
                let delay = Duration::from_millis(ms);
                if after_effect {
                    self.delay_after += delay;
                } else {
                    self.delay_before += delay;
                }
            }
            Action::DropBefore => self.answer(Instead::Drop),
            Action::DropAfter => self.spoil = self.spoil.or(Some(Spoil::Drop)),
            Action::Truncate => self.spoil = self.spoil.or(Some(Spoil::Truncate)),
            Action::Garbage => self.spoil = self.spoil.or(Some(Spoil::Garbage)),
            Action::Reformat => self.spoil = self.spoil.or(Some(Spoil::Reformat)),
            Action::Writer(writer) => self.writers.push(writer),
            Action::Quota(quota) => self.quotas.push(quota),
        }
    }

    fn answer(&mut self, instead: Instead) {
        self.instead.get_or_insert(instead);
    }
}
