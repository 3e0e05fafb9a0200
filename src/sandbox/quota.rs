//! Request rates: a token bucket for each account, region and operation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::Caller;
use crate::model::{AccountId, Region};

/// How often an operation may be called, everywhere or in one account or region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The operation, such as `PutImage`.
    pub operation: String,
    /// Only for calls of this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Only for calls in this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Calls a second; without it there is no limit.
    #[serde(default)]
    pub per_second: Option<f64>,
    /// How many calls a rested bucket takes at once; without it as many as in one second, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<f64>,
}

/// The quotas in force, and how far each is used up.
#[derive(Debug, Clone)]
pub struct Quotas {
    quotas: Vec<Quota>,
    buckets: BTreeMap<(Caller, String), Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Quota {
    /// A quota for all accounts and regions; `None` lifts the limit.
    pub fn new(operation: &str, per_second: Option<f64>) -> Self {
        Self {
            operation: operation.to_owned(),
            account: None,
            region: None,
            per_second,
            burst: None,
        }
    }

    fn applies_to(&self, caller: &Caller, operation: &str) -> bool {
        self.operation == operation
            && self
                .account
                .as_ref()
                .is_none_or(|account| *account == caller.account)
            && self.region.as_ref().is_none_or(|region| *region == caller.region)
    }

    fn covers(&self, other: &Self) -> bool {
        self.operation == other.operation
            && (self.account.is_none() || self.account == other.account)
            && (self.region.is_none() || self.region == other.region)
    }
}

impl Default for Quotas {
    /// ECR's published defaults of the operations known here: PutImage 10/s and BatchGetImage 2,000/s (AWS docs,
    /// "Amazon ECR service quotas"). The other rates are not published; they have no limit.
    fn default() -> Self {
        let mut quotas = Self::none();
        quotas.set(Quota::new("PutImage", Some(10.0)));
        quotas.set(Quota::new("BatchGetImage", Some(2_000.0)));
        quotas
    }
}

impl Quotas {
    /// No limits at all.
    pub fn none() -> Self {
        Self {
            quotas: Vec::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Puts a quota in force. It replaces those that it covers; of several that apply to a call, the latest counts.
    pub fn set(&mut self, quota: Quota) {
        self.quotas.retain(|other| !quota.covers(other));
        self.quotas.push(quota);
    }

    /// Takes a token for one call; `false` means that the call is throttled, which costs none.
    pub fn admit(&mut self, caller: &Caller, operation: &str, now: Timestamp) -> bool {
        let quota = self
            .quotas
            .iter()
            .rev()
            .find(|quota| quota.applies_to(caller, operation));
        let Some((quota, per_second)) = quota.and_then(|quota| Some((quota, quota.per_second?))) else {
            return true;
        };
        let size = quota.burst.unwrap_or(per_second).max(1.0);
        let bucket = self
            .buckets
            .entry((caller.clone(), operation.to_owned()))
            .or_insert(Bucket {
                tokens: size,
                at: now,
            });
        let elapsed_seconds = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + elapsed_seconds * per_second).min(size);
        bucket.at = bucket.at.max(now);
        // A token that is refilled in ten parts of a tenth is whole.
        let is_admitted = bucket.tokens >= 1.0 - 1e-6;
        if is_admitted {
            bucket.tokens -= 1.0;
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(account: &str) -> Caller {
        Caller {
            account: account.parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn admitted(quotas: &mut Quotas, caller: &Caller, ms: std::ops::Range<i64>) -> usize {
        ms.filter(|&ms| quotas.admit(caller, "PutImage", at(ms))).count()
    }

    #[test]
    fn ten_puts_a_second_with_a_burst_of_ten() {
        let mut quotas = Quotas::default();
        let one = caller("111111111111");
        assert_eq!(admitted(&mut quotas, &one, 0..1), 1);
        assert_eq!(admitted(&mut quotas, &one, 1..5_001), 59);
        assert_eq!(admitted(&mut quotas, &caller("222222222222"), 5_000..5_009), 9);
        assert!((0..9_999).all(|_| quotas.admit(&one, "ListImages", at(5_000))));
    }

    #[test]
    fn the_latest_quota_that_applies_counts() {
        let mut quotas = Quotas::default();
        let (one, two) = (caller("111111111111"), caller("222222222222"));
        quotas.set(Quota {
            account: Some(one.account.clone()),
            burst: Some(1.0),
            ..Quota::new("PutImage", Some(100.0))
        });
        assert_eq!(admitted(&mut quotas, &one, 0..1_000), 100);
        assert_eq!(admitted(&mut quotas, &two, 0..1_000), 19);
        quotas.set(Quota::new("PutImage", None));
        assert_eq!(admitted(&mut quotas, &one, 1_000..2_000), 1_000);
    }
}
