//! STS, as far as role chains need it: assuming roles, with keys or a token, and saying who calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::super::state::{ErrorAnswer, State, partition};
use super::auth::{Identities, Identity, Session};
use crate::model::{AccountId, Digest};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const DEFAULT_DURATION_SECONDS: i64 = 3600;
const CHAINED_DURATION_SECONDS_MAX: i64 = 3600;

/// The parameters of a Query request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Form(BTreeMap<String, String>);

struct Role {
    account: AccountId,
    name: String,
}

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn required(&self, name: &str) -> Result<&str, ErrorAnswer> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| validation(&format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null")))
    }
}

/// Whether an operation is called with no credentials, because a token of somebody else's proves who calls.
pub(in super::super) fn is_unsigned(operation: &str) -> bool {
    operation == "AssumeRoleWithWebIdentity"
}

/// Carries out one operation of STS and returns the XML.
pub(in super::super) fn answer(
    operation: &str,
    form: &Form,
    identity: Option<&Identity>,
    state: &State,
    identities: &mut Identities,
    (now, request_id): (Timestamp, &str),
) -> Result<String, ErrorAnswer> {
    let members = match (operation, identity) {
        ("GetCallerIdentity", Some(identity)) => {
            let mut members = String::new();
            element(&mut members, "Arn", &identity.arn);
            element(&mut members, "UserId", &identity.user_id);
            element(&mut members, "Account", identity.caller.account.as_str());
            members
        }
        ("AssumeRole", Some(identity)) => assume_role(form, identity, state, identities, now)?,
        ("AssumeRoleWithWebIdentity", _) => assume_role_with_token(form, state, identities, now)?,
        _ => {
            return Err(ErrorAnswer::client(
                "InvalidAction",
                format!("Could not find operation {operation} for version 2011-06-15"),
            ));
        }
    };
    Ok(format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>{members}</{operation}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

/// The body of an error.
pub(super) fn to_error_body(error: &ErrorAnswer, request_id: &str) -> String {
    let mut members = String::new();
    element(&mut members, "Type", "Sender");
    element(&mut members, "Code", &error.code);
    element(&mut members, "Message", &error.message);
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>{members}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

fn assume_role(
    form: &Form,
    identity: &Identity,
    state: &State,
    identities: &mut Identities,
    now: Timestamp,
) -> Result<String, ErrorAnswer> {
    let arn = form.required("RoleArn")?;
    let role = Role::read(arn)?;
    let is_trusted = state.role(arn).is_none_or(|rule| {
        !rule.is_denied
            && (rule.external_id.is_none() || rule.external_id.as_deref() == form.get("ExternalId"))
    });
    if !is_trusted {
        return Err(ErrorAnswer::new(
            403,
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                identity.arn
            ),
        ));
    }
    let duration = duration(form, identity.is_role)?;
    credentials(form, role, identities, now, duration)
}

fn assume_role_with_token(
    form: &Form,
    state: &State,
    identities: &mut Identities,
    now: Timestamp,
) -> Result<String, ErrorAnswer> {
    let arn = form.required("RoleArn")?;
    let role = Role::read(arn)?;
    form.required("WebIdentityToken")?;
    if state.role(arn).is_some_and(|rule| rule.is_denied) {
        return Err(ErrorAnswer::new(
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ));
    }
    let duration = duration(form, false)?;
    let mut members = credentials(form, role, identities, now, duration)?;
    element(&mut members, "SubjectFromWebIdentityToken", "sandbox");
    element(&mut members, "Provider", "sandbox");
    Ok(members)
}

fn credentials(
    form: &Form,
    role: Role,
    identities: &mut Identities,
    now: Timestamp,
    duration: SignedDuration,
) -> Result<String, ErrorAnswer> {
    let name = form.required("RoleSessionName")?;
    let is_name = (2..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_=,.@-".contains(&b));
    if !is_name {
        return Err(validation(
            "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [\\w+=,.@-]*",
        ));
    }
    let expires_at = now.checked_add(duration).unwrap_or(Timestamp::MAX);
    let arn = format!(
        "arn:{}:sts::{}:assumed-role/{}/{name}",
        partition(""),
        role.account,
        role.name
    );
    let token = format!(
        "sandbox-session-token-{}",
        Digest::of(format!("{arn} {now}").as_bytes()).short()
    );
    let key = identities.issue(Session {
        account: role.account,
        role: role.name,
        name: name.to_owned(),
        token: token.clone(),
        expires_at,
    });
    let mut credentials = String::new();
    element(&mut credentials, "AccessKeyId", &key);
    element(
        &mut credentials,
        "SecretAccessKey",
        "sandbox/sandbox/sandbox/sandbox/sandbox+",
    );
    element(&mut credentials, "SessionToken", &token);
    let expiration = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    element(&mut credentials, "Expiration", &expiration);
    let mut user = String::new();
    element(&mut user, "AssumedRoleId", &format!("AROASANDBOX:{name}"));
    element(&mut user, "Arn", &arn);
    Ok(format!(
        "<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"
    ))
}

/// 15 minutes to 12 hours; one hour at most for a role that a role assumes (AWS docs on `AssumeRole`).
fn duration(form: &Form, is_chained: bool) -> Result<SignedDuration, ErrorAnswer> {
    let seconds = match form.get("DurationSeconds") {
        None => DEFAULT_DURATION_SECONDS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (900..=43_200).contains(seconds))
            .ok_or_else(|| {
                validation(
                    "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member \
                     must have value between 900 and 43200",
                )
            })?,
    };
    if is_chained && seconds > CHAINED_DURATION_SECONDS_MAX {
        return Err(validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    Ok(SignedDuration::from_secs(seconds))
}

impl Role {
    fn read(arn: &str) -> Result<Self, ErrorAnswer> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let role = match parts.as_slice() {
            ["arn", partition, "iam", "", account, resource] if partition.starts_with("aws") => account
                .parse()
                .ok()
                .zip(resource.strip_prefix("role/").filter(|name| !name.is_empty())),
            _ => None,
        };
        let (account, path) = role.ok_or_else(|| validation(&format!("{arn} is invalid")))?;
        Ok(Self {
            account,
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        })
    }
}

fn validation(message: &str) -> ErrorAnswer {
    ErrorAnswer::client("ValidationError", message)
}

fn element(xml: &mut String, name: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // Writing to a string can not fail.
    let _ = write!(xml, "<{name}>{text}</{name}>");
}

/// Undoes the encoding of a form.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = behind
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(if first == b'+' { b' ' } else { first }));
        rest = match escaped {
            Some(_) => behind.get(2..).unwrap_or_default(),
            None => behind,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let form = Form::read(b"Action=AssumeRole&RoleArn=arn%3Aaws%3aiam&x=a+b%&y");
        assert_eq!(form.get("Action"), Some("AssumeRole"));
        assert_eq!(form.get("RoleArn"), Some("arn:aws:iam"));
        assert_eq!(form.get("x"), Some("a b%"));
        assert_eq!(form.get("y"), None);
    }

    #[test]
    fn role_arns_name_account_and_role() {
        let role = Role::read("arn:aws:iam::111122223333:role/team/retag").unwrap();
        assert_eq!(
            (role.account.as_str(), role.name.as_str()),
            ("111122223333", "retag")
        );
        for bad in [
            "",
            "retag",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::111122223333:user/x",
        ] {
            assert!(Role::read(bad).is_err(), "{bad}");
        }
    }
}
