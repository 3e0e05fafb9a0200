//! The control endpoints of a running sandbox, beside the wire of ECR and STS.
//!
//! | request | body | what it does |
//! |---|---|---|
//! | `POST /_sandbox/faults` | a fault plan, YAML or JSON | puts it in force instead of the present one |
//! | `DELETE /_sandbox/faults` | | lets nothing go wrong any more |
//! | `POST /_sandbox/quota` | `{operation, per_second, burst, account, region}` | puts a quota in force; without `per_second` there is no limit |
//! | `POST /_sandbox/latency` | `{ms}` | makes each call take this long |
//! | `POST /_sandbox/expire` | `{access_key}` | expires credentials |
//! | `POST /_sandbox/grant` | `{owner, caller}` | lets one account reach another's registries |
//! | `POST /_sandbox/role` | `{arn, is_denied, external_id}` | says who may assume a role |
//! | `POST /_sandbox/blobs` | `{account, region, repository, manifest}` | makes the blobs of a manifest known |
//! | `GET /_sandbox/calls?after=N` | | the calls behind the N-th |
//! | `GET /_sandbox/state` | | how many repositories, images and tags there are, and counts of calls |
//!
//! They need no signature: only this machine reaches them.

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::state::{Repository, RoleRule};
use super::{Caller, FaultPlan, Faults, Quota, Sandbox};
use crate::model::{AccountId, Region, RepositoryName};
use crate::yaml;

const PREFIX: &str = "/_sandbox/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expire {
    access_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    owner: AccountId,
    caller: AccountId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    arn: String,
    #[serde(default)]
    is_denied: bool,
    #[serde(default)]
    external_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blobs {
    account: AccountId,
    region: Region,
    repository: RepositoryName,
    manifest: String,
}

/// Why a request was refused.
type Refusal = (StatusCode, String);

pub(super) fn is_for(request: &Request<Bytes>) -> bool {
    request.uri().path().starts_with(PREFIX)
}

pub(super) fn answer(sandbox: &Sandbox, request: &Request<Bytes>) -> Response<Bytes> {
    let (status, body) = match carry_out(sandbox, request) {
        Ok(body) => (StatusCode::OK, body),
        Err((status, message)) => (status, json!({ "message": message })),
    };
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn carry_out(sandbox: &Sandbox, request: &Request<Bytes>) -> Result<Value, Refusal> {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let body = request.body();
    match (request.method(), path) {
        (&Method::POST, "faults") => {
            let plan: FaultPlan = read(body)?;
            sandbox.set_faults(Faults::new(plan));
        }
        (&Method::DELETE, "faults") => sandbox.set_faults(Faults::none()),
        (&Method::POST, "quota") => {
            let quota: Quota = read(body)?;
            sandbox.set_quota(quota);
        }
        (&Method::POST, "latency") => {
            let latency: Latency = read(body)?;
            sandbox.set_latency(Duration::from_millis(latency.ms));
        }
        (&Method::POST, "expire") => {
            let expire: Expire = read(body)?;
            sandbox.expire_credentials(&expire.access_key);
        }
        (&Method::POST, "grant") => {
            let grant: Grant = read(body)?;
            saved(sandbox.edit(|state| state.grant(grant.owner, grant.caller)))?;
        }
        (&Method::POST, "role") => {
            let asked: Role = read(body)?;
            let rule = RoleRule {
                is_denied: asked.is_denied,
                external_id: asked.external_id,
            };
            saved(sandbox.edit(|state| state.set_role(&asked.arn, rule)))?;
        }
        (&Method::POST, "blobs") => upload(sandbox, read(body)?)?,
        (&Method::GET, "calls") => {
            let after = request
                .uri()
                .query()
                .and_then(|query| query.strip_prefix("after="));
            let after = after.and_then(|number| number.parse().ok()).unwrap_or_default();
            return Ok(json!({ "calls": sandbox.calls_after(after) }));
        }
        (&Method::GET, "state") => return Ok(counts(sandbox)),
        _ => {
            let message = format!("there is no `{} {PREFIX}{path}`", request.method());
            return Err((StatusCode::NOT_FOUND, message));
        }
    }
    Ok(json!({}))
}

fn upload(sandbox: &Sandbox, blobs: Blobs) -> Result<(), Refusal> {
    let owner = Caller {
        account: blobs.account,
        region: blobs.region,
    };
    let is_known =
        saved(sandbox.edit(|state| state.upload_blobs(&owner, &blobs.repository, &blobs.manifest)))?;
    if is_known {
        return Ok(());
    }
    let message = "there is no such repository, or the text is no manifest".to_owned();
    Err((StatusCode::BAD_REQUEST, message))
}

fn counts(sandbox: &Sandbox) -> Value {
    let registries: Vec<Value> = sandbox.with_state(|state| {
        state
            .registries()
            .map(|(account, region)| {
                let owner = Caller {
                    account: account.clone(),
                    region: region.clone(),
                };
                let repositories: Vec<&Repository> = state
                    .repositories(&owner)
                    .map(|(_, repository)| repository)
                    .collect();
                let images = repositories.iter().map(|repository| repository.image_count());
                let tags = repositories.iter().map(|repository| repository.tags().count());
                json!({
                    "account": account.as_str(),
                    "region": region.as_str(),
                    "repositories": repositories.len(),
                    "images": images.sum::<usize>(),
                    "tags": tags.sum::<usize>(),
                })
            })
            .collect()
    });
    json!({ "registries": registries, "operations": sandbox.tallies() })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    yaml::from_str(text).map_err(|error| (StatusCode::BAD_REQUEST, error.message))
}

fn saved<T>(result: Result<T, super::StoreError>) -> Result<T, Refusal> {
    result.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
