//! The embedded ECR: the rules of the service without the service.
//!
//! A [`Sandbox`] answers HTTP requests as ECR and STS do. Clients reach it in two ways that share everything but the
//! socket: in-process as the HTTP connector of an AWS SDK client ([`Sandbox::http_client`]), and over loopback
//! ([`serve`]). What runs against it is the real client with its signing and parsing.
//!
//! From the inside out: [`state`] holds the rules, pure; [`Quotas`] count calls; [`Faults`] decide what goes wrong;
//! the wire turns HTTP into operations and back; a [`Store`](store) keeps the state in a file. [`seed`] fills a state.

pub mod calls;
pub mod command;
mod connector;
mod control;
pub mod fault;
pub mod quota;
pub mod seed;
pub mod serve;
pub mod state;
pub mod store;
mod wire;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;

pub use calls::{Call, Tally};
pub use fault::{FaultPlan, Faults};
pub use quota::{Quota, Quotas};
pub use state::{Caller, Limits, State};
pub use store::StoreError;
pub use wire::auth::DEFAULT_ACCOUNT;

use calls::CallLog;
use fault::{Instead, Spoil, Verdict};
use state::{Answer, ErrorAnswer};
use store::Store;
use wire::auth::{Identities, Identity, Service};
use wire::{Body, Incoming, Reply};

/// Where a sandbox takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The region of the built-in seed.
pub const DEFAULT_REGION: &str = "us-east-1";

/// An embedded ECR. Clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

/// What a client gets.
#[derive(Debug)]
pub enum Outcome {
    /// A response.
    Answered(Response<Bytes>),
    /// A response whose connection breaks in the middle of the body.
    Truncated(Response<Bytes>),
    /// A connection that breaks before any response.
    Dropped,
}

struct Inner {
    state: State,
    quotas: Quotas,
    faults: Faults,
    identities: Identities,
    log: CallLog,
    latency: Duration,
    store: Option<Store>,
}

/// A request that came in and what is known about it before it is carried out.
struct Received {
    call: Call,
    identity: Result<Option<Identity>, ErrorAnswer>,
    verdict: Verdict,
}

impl Sandbox {
    /// A sandbox in memory, with ECR's published quotas.
    pub fn new(state: State, faults: Faults, clock: Clock) -> Self {
        Self::with_store(state, faults, clock, None)
    }

    /// A sandbox whose state lives in a file, with ECR's published quotas.
    ///
    /// If there is no such file, it is made with the built-in seed. The file is locked until the last clone is gone;
    /// opening it a second time is an error. Whatever a call changed is in the file before the call is answered.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        Self::open_or_else(path, clock, seed::builtin)
    }

    /// Like [`Sandbox::open`], with what a new file holds.
    pub fn open_or_else(
        path: &Path,
        clock: Clock,
        initial: impl FnOnce() -> State,
    ) -> Result<Self, StoreError> {
        let (store, state) = Store::open(path, initial)?;
        Ok(Self::with_store(state, Faults::none(), clock, Some(store)))
    }

    fn with_store(state: State, faults: Faults, clock: Clock, store: Option<Store>) -> Self {
        let inner = Inner {
            state,
            quotas: Quotas::default(),
            faults,
            identities: Identities::default(),
            log: CallLog::new(),
            latency: Duration::ZERO,
            store,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            clock,
        }
    }

    /// Answers one HTTP request, whatever is in it.
    pub async fn answer(&self, request: Request<Bytes>) -> Outcome {
        if control::is_for(&request) {
            return Outcome::Answered(control::answer(self, &request));
        }
        let incoming = wire::read(&request);
        let (mut received, latency) = {
            let mut inner = self.lock();
            (inner.receive(&incoming, self.now()), inner.latency)
        };
        pause(latency / 2 + received.verdict.delay_before).await;
        let delay_after = latency / 2 + received.verdict.delay_after;
        let outcome = self.lock().carry_out(&incoming, &mut received, self.now());
        pause(delay_after).await;
        outcome
    }

    /// The last calls, oldest first; see [`Sandbox::remember_calls`].
    pub fn calls(&self) -> Vec<Call> {
        self.lock().log.calls().cloned().collect()
    }

    /// The calls with a number above `number`, oldest first.
    pub fn calls_after(&self, number: u64) -> Vec<Call> {
        let inner = self.lock();
        let calls = inner.log.calls().filter(|call| call.number > number);
        calls.cloned().collect()
    }

    /// How many calls of each operation there were since the beginning.
    pub fn tallies(&self) -> std::collections::BTreeMap<String, Tally> {
        self.lock().log.tallies().clone()
    }

    /// Sets how many calls are remembered; counts are kept in any case.
    pub fn remember_calls(&self, calls_max: usize) {
        self.lock().log.remember(calls_max);
    }

    /// Looks at the state.
    pub fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Changes the state past ECR's rules. With a state file, all of it is written anew.
    pub fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut inner = self.lock();
        let result = change(&mut inner.state);
        inner.save()?;
        Ok(result)
    }

    /// Puts a fault plan in force instead of the present one.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Puts a quota in force.
    pub fn set_quota(&self, quota: Quota) {
        self.lock().quotas.set(quota);
    }

    /// Replaces all quotas.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.lock().quotas = quotas;
    }

    /// Makes each call take this long, half of it before it takes effect and half after.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// From now on, credentials with this access key are expired.
    pub fn expire_credentials(&self, access_key: &str) {
        self.lock().identities.expire(access_key);
    }

    /// Writes the whole state to its file, if it has one, so that the next opening is quick.
    ///
    /// Nothing is lost without it.
    pub fn save(&self) -> Result<(), StoreError> {
        self.lock().save_if_changed()
    }

    fn now(&self) -> Timestamp {
        // Files keep milliseconds, so that a state read back is the state that was.
        let now = (self.clock)();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Inner {
    fn receive(&mut self, incoming: &Incoming, now: Timestamp) -> Received {
        let mut call = incoming.to_call(self.log.next_number(), now);
        let identity = self.identify(incoming, now);
        if let Ok(Some(identity)) = &identity {
            call.registry
                .get_or_insert_with(|| identity.caller.account.clone());
            call.caller = Some(identity.caller.clone());
        }
        let verdict = self.faults.judge(&call);
        Received {
            call,
            identity,
            verdict,
        }
    }

    fn identify(&self, incoming: &Incoming, now: Timestamp) -> Result<Option<Identity>, ErrorAnswer> {
        let service = match incoming.body {
            Body::Ecr(_) => Service::Ecr,
            Body::Sts(_) if wire::sts::is_unsigned(&incoming.operation) => return Ok(None),
            Body::Sts(_) => Service::Sts,
        };
        let credential = incoming.credential.as_ref().map_err(Clone::clone)?;
        self.identities.authenticate(credential, service, now).map(Some)
    }

    /// Carries a call out with all its faults, and logs it.
    fn carry_out(&mut self, incoming: &Incoming, received: &mut Received, now: Timestamp) -> Outcome {
        for quota in std::mem::take(&mut received.verdict.quotas) {
            self.quotas.set(quota);
        }
        self.let_others_write(received, now);
        if received.verdict.expires_credentials
            && let Ok(credential) = &incoming.credential
        {
            self.identities.expire(&credential.access_key);
            received.identity = self.identify(incoming, now);
        }
        let request_id = wire::request_id(received.call.number);
        let revision = self.state.revision();
        let reply = match (&received.identity, received.verdict.instead.take()) {
            (_, Some(Instead::Drop)) => None,
            (Err(error), _) => Some(incoming.to_reply(error, &request_id)),
            (Ok(_), Some(Instead::Error(error))) => Some(incoming.to_reply(&error, &request_id)),
            (Ok(_), Some(Instead::Bare(status))) => Some(Reply::bare(status)),
            (
                Ok(_),
                Some(Instead::Throttle {
                    shape,
                    retry_after_seconds,
                    retry_after_ms,
                }),
            ) => Some(Reply::throttle(shape, retry_after_seconds, retry_after_ms)),
            (Ok(identity), None) => Some(self.reply_to(
                &incoming.operation,
                &incoming.body,
                identity.as_ref(),
                now,
                &request_id,
            )),
        };
        let spoil = received.verdict.spoil;
        let answered = reply.as_ref().filter(|_| spoil != Some(Spoil::Drop));
        let mut call = received.call.clone();
        call.status = answered.map(|reply| reply.status);
        call.code = answered.and_then(|reply| reply.code.clone());
        call.took_effect = self.state.revision() != revision;
        self.log.add(call);
        match (reply, spoil) {
            (None, _) | (_, Some(Spoil::Drop)) => Outcome::Dropped,
            (Some(reply), Some(Spoil::Truncate)) => Outcome::Truncated(reply.into_response(&request_id, now)),
            (Some(_), Some(Spoil::Garbage)) => {
                Outcome::Answered(Reply::garbage().into_response(&request_id, now))
            }
            (Some(reply), None) => Outcome::Answered(reply.into_response(&request_id, now)),
        }
    }

    fn reply_to(
        &mut self,
        operation: &str,
        body: &Body,
        identity: Option<&Identity>,
        now: Timestamp,
        request_id: &str,
    ) -> Reply {
        match (body, identity) {
            (Body::Ecr(request), Some(identity)) => {
                if !self.quotas.admit(&identity.caller, operation, now) {
                    return Reply::of_ecr(&Err(ErrorAnswer::throttling()));
                }
                let answer = match request {
                    Ok(request) => self.handle(operation, request, &identity.caller, now),
                    Err(error) => Err(error.clone()),
                };
                Reply::of_ecr(&answer)
            }
            (Body::Sts(form), identity) => {
                let when = (now, request_id);
                let state = &self.state;
                let answer = wire::sts::answer(operation, form, identity, state, &mut self.identities, when);
                Reply::of_sts(&answer, request_id)
            }
            (Body::Ecr(_), None) => Reply::bare(500),
        }
    }

    /// Carries out an operation and puts what it changed into the file.
    fn handle(&mut self, operation: &str, request: &Value, caller: &Caller, now: Timestamp) -> Answer {
        let revision = self.state.revision();
        let answer = self.state.handle(operation, request, caller, now);
        if self.state.revision() != revision
            && let Some(store) = &mut self.store
        {
            store
                .append(&self.state, operation, request, caller, now)
                .map_err(|error| ErrorAnswer::new(500, "ServerException", error.to_string()))?;
        }
        answer
    }

    fn let_others_write(&mut self, received: &mut Received, now: Timestamp) {
        let Ok(Some(identity)) = &received.identity else {
            return;
        };
        let owner = Caller {
            account: received
                .call
                .registry
                .clone()
                .unwrap_or_else(|| identity.caller.account.clone()),
            region: identity.caller.region.clone(),
        };
        for writer in std::mem::take(&mut received.verdict.writers) {
            let named = received.call.repository.as_ref();
            let Some((operation, request)) = writer.to_request(&self.state, &owner, named, self.faults.rng())
            else {
                continue;
            };
            let revision = self.state.revision();
            let answer = self.handle(operation, &request, &owner, now);
            let mut call = Call {
                number: self.log.next_number(),
                operation: operation.to_owned(),
                caller: Some(owner.clone()),
                status: Some(answer.as_ref().err().map_or(200, |error| error.status)),
                code: answer.err().map(|error| error.code.into_owned()),
                took_effect: self.state.revision() != revision,
                is_other_writer: true,
                tags: Vec::new(),
                digests: Vec::new(),
                at: now,
                ..received.call.clone()
            };
            call.describe(&request);
            self.log.add(call);
        }
    }

    fn save(&mut self) -> Result<(), StoreError> {
        match &mut self.store {
            Some(store) => store.save(&self.state),
            None => Ok(()),
        }
    }

    fn save_if_changed(&mut self) -> Result<(), StoreError> {
        match &mut self.store {
            Some(store) if store.has_log() => store.save(&self.state),
            _ => Ok(()),
        }
    }
}

impl Incoming {
    fn to_reply(&self, error: &ErrorAnswer, request_id: &str) -> Reply {
        match self.body {
            Body::Ecr(_) => Reply::of_ecr(&Err(error.clone())),
            Body::Sts(_) => Reply::of_sts(&Err(error.clone()), request_id),
        }
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
