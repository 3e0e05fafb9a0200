//! The service behind all clones of a sandbox: state, quotas, faults, identities and the log, and how a request goes
//! through them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::Outcome;
use super::calls::{Call, CallLog};
use super::fault::{Faults, Instead, Spoil, Verdict};
use super::quota::Quotas;
use super::state::{self, Answer, Caller, ErrorAnswer, State};
use super::store::{Store, StoreError};
use super::wire::auth::{Api, Identities, Identity};
use super::wire::{self, Body, Incoming, Reply};

pub(super) struct Service {
    pub(super) state: State,
    pub(super) quotas: Quotas,
    pub(super) faults: Faults,
    pub(super) identities: Identities,
    pub(super) log: CallLog,
    pub(super) latency: Duration,
    store: Option<Store>,
}

/// A request that came in and what is known about it before it is carried out.
pub(super) struct Received {
    call: Call,
    identity: Result<Option<Identity>, ErrorAnswer>,
    pub(super) verdict: Verdict,
}

impl Service {
    pub(super) fn new(state: State, faults: Faults, store: Option<Store>) -> Self {
        Self {
            state,
            quotas: Quotas::default(),
            faults,
            identities: Identities::default(),
            log: CallLog::new(),
            latency: Duration::ZERO,
            store,
        }
    }

    pub(super) fn receive(&mut self, incoming: &Incoming, now: Timestamp) -> Received {
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
        let api = match incoming.body {
            Body::Ecr(_) => Api::Ecr,
            Body::Sts(_) if wire::sts::is_unsigned(&incoming.operation) => return Ok(None),
            Body::Sts(_) => Api::Sts,
        };
        let credential = incoming.credential.as_ref().map_err(Clone::clone)?;
        self.identities.authenticate(credential, api, now).map(Some)
    }

    /// Carries a call out with all its faults, and logs it.
    pub(super) fn carry_out(
        &mut self,
        incoming: &Incoming,
        mut received: Received,
        now: Timestamp,
    ) -> Outcome {
        for quota in std::mem::take(&mut received.verdict.quotas) {
            self.quotas.set(quota);
        }
        self.let_others_write(&mut received, now);
        if received.verdict.expires_credentials
            && let Ok(credential) = &incoming.credential
        {
            self.identities.expire(&credential.access_key);
            received.identity = self.identify(incoming, now);
        }
        let request_id = wire::request_id(received.call.number);
        let revision = self.state.revision();
        let spoil = received.verdict.spoil;
        let reply = match (self.reply(incoming, &mut received, now, &request_id), spoil) {
            (_, Some(Spoil::Drop)) => None,
            (Some(_), Some(Spoil::Garbage)) => Some(Reply::garbage()),
            (Some(reply), Some(Spoil::Reformat)) => Some(reply.with_manifests_reformatted()),
            (reply, _) => reply,
        };
        let mut call = received.call;
        call.status = reply.as_ref().map(|reply| reply.status);
        call.code = reply.as_ref().and_then(|reply| reply.code.clone());
        call.took_effect = self.state.revision() != revision;
        self.log.add(call);
        let response = reply.map(|reply| reply.into_response(&request_id, now));
        match (response, spoil) {
            (None, _) => Outcome::Dropped,
            (Some(response), Some(Spoil::Truncate)) => Outcome::Truncated(response),
            (Some(response), _) => Outcome::Answered(response),
        }
    }

    /// What the call is answered before the answer is spoilt; nothing if the connection breaks first.
    fn reply(
        &mut self,
        incoming: &Incoming,
        received: &mut Received,
        now: Timestamp,
        request_id: &str,
    ) -> Option<Reply> {
        let instead = received.verdict.instead.take();
        if matches!(instead, Some(Instead::Drop)) {
            return None;
        }
        let identity = match &received.identity {
            Ok(identity) => identity.as_ref(),
            Err(error) => return Some(incoming.to_reply(error, request_id)),
        };
        Some(match instead {
            Some(Instead::Deny) => incoming.to_reply(&denied(&received.call, identity), request_id),
            Some(Instead::Error(error)) => incoming.to_reply(&error, request_id),
            Some(Instead::Bare(status)) => Reply::bare(status),
            Some(Instead::Throttle(throttle)) => Reply::throttle(throttle),
            Some(Instead::Drop) | None => {
                self.reply_to(&incoming.operation, &incoming.body, identity, now, request_id)
            }
        })
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

    pub(super) fn save(&mut self) -> Result<(), StoreError> {
        match &mut self.store {
            Some(store) => store.save(&self.state),
            None => Ok(()),
        }
    }

    pub(super) fn save_if_changed(&mut self) -> Result<(), StoreError> {
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

/// In the words of IAM.
fn denied(call: &Call, identity: Option<&Identity>) -> ErrorAnswer {
    let (status, code, service) = if call.is_sts {
        (403, "AccessDenied", "sts")
    } else {
        (400, "AccessDeniedException", "ecr")
    };
    let resource = match (&call.caller, &call.registry, &call.repository) {
        (Some(caller), Some(account), Some(name)) => state::repository_arn(account, &caller.region, name),
        _ => "*".to_owned(),
    };
    let message = format!(
        "User: {} is not authorized to perform: {service}:{} on resource: {resource} with an explicit deny in an \
         identity-based policy",
        identity.map_or("anonymous", |identity| &identity.arn),
        call.operation
    );
    ErrorAnswer::new(status, code, message)
}
