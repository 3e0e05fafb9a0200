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
mod service;
pub mod state;
pub mod store;
mod timer;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

pub use calls::{Call, Tally};
pub use fault::{FaultPlan, Faults};
pub use quota::{Quota, Quotas};
pub use state::{Caller, Limits, State};
pub use store::StoreError;
pub use wire::auth::DEFAULT_ACCOUNT;

use service::Service;
use store::Store;
use timer::Timer;

/// Where a sandbox takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The region of the built-in seed.
pub const DEFAULT_REGION: &str = "us-east-1";

/// An embedded ECR. Clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    service: Arc<Mutex<Service>>,
    clock: Clock,
    /// Waits exactly where time is real; without it tokio's clock is waited by, which a test can pause.
    timer: Option<Timer>,
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
        Self {
            service: Arc::new(Mutex::new(Service::new(state, faults, store))),
            clock,
            timer: None,
        }
    }

    /// Answers one HTTP request, whatever is in it.
    ///
    /// What came in is carried out even if nobody waits for the answer any more, as on a server: a client that gave up
    /// may see its call take effect later. Needs a tokio runtime.
    pub async fn answer(&self, request: Request<Bytes>) -> Outcome {
        self.answer_since(Instant::now(), request).await
    }

    /// Answers a request that began to arrive then: its latency counts from there.
    async fn answer_since(&self, arrived: Instant, request: Request<Bytes>) -> Outcome {
        let exchange = tokio::spawn(self.clone().exchange(arrived, request));
        exchange.await.unwrap_or(Outcome::Dropped)
    }

    async fn exchange(self, arrived: Instant, request: Request<Bytes>) -> Outcome {
        if control::is_for(&request) {
            return Outcome::Answered(control::answer(&self, &request));
        }
        let incoming = wire::read(&request);
        let (received, latency) = {
            let mut service = self.lock();
            (service.receive(&incoming, self.now()), service.latency)
        };
        let before = latency / 2 + received.verdict.delay_before;
        let after = latency / 2 + received.verdict.delay_after;
        self.wait_until(arrived, before).await;
        let outcome = self.lock().carry_out(&incoming, received, self.now());
        self.wait_until(arrived, before + after).await;
        outcome
    }

    /// Waits until so long after the request began to arrive.
    async fn wait_until(&self, arrived: Instant, span: Duration) {
        if span.is_zero() {
            return;
        }
        match &self.timer {
            Some(timer) => timer.wait_until(arrived + span).await,
            None => tokio::time::sleep_until(arrived + span).await,
        }
    }

    /// The same sandbox, waiting exactly, for clients outside this process.
    fn in_real_time(self) -> io::Result<Self> {
        Ok(Self {
            timer: Some(Timer::start()?),
            ..self
        })
    }

    /// The last calls, oldest first; see [`Sandbox::remember_calls`].
    pub fn calls(&self) -> Vec<Call> {
        self.lock().log.calls().cloned().collect()
    }

    /// The calls with a number above `number`, oldest first.
    pub fn calls_after(&self, number: u64) -> Vec<Call> {
        let service = self.lock();
        let calls = service.log.calls().filter(|call| call.number > number);
        calls.cloned().collect()
    }

    /// How many calls of each operation there were since the beginning.
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
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
        let mut service = self.lock();
        let result = change(&mut service.state);
        service.save()?;
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

    fn lock(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}
