//! Who calls: the credential scope, and the account behind an access key.
//!
//! Signatures are not computed again, since a key may come with any secret; but a request must be signed, for this
//! service, and keys that the sandbox issued itself must carry their token and not be expired.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderMap;
use jiff::Timestamp;

use super::super::state::{Caller, ErrorAnswer, partition};
use crate::model::{AccountId, Region};

/// The account of all access keys that name no other.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// What keys that the sandbox issues begin with.
const ISSUED_PREFIX: &str = "ASIASANDBOX";

/// The API that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Api {
    Ecr,
    Sts,
}

/// What the `Authorization` header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Credential {
    pub access_key: String,
    pub region: Region,
    pub token: Option<String>,
}

/// Someone whose credentials were accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Identity {
    pub caller: Caller,
    pub arn: String,
    pub user_id: String,
    pub is_role: bool,
}

/// Temporary credentials, as STS issues them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Session {
    pub account: AccountId,
    pub role: String,
    pub name: String,
    pub token: String,
    pub expires_at: Timestamp,
}

/// The access keys that are known to be special.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Identities {
    sessions: BTreeMap<String, Session>,
    expired: BTreeSet<String>,
}

/// Reads the credential of a request.
pub(in super::super) fn read(headers: &HeaderMap, api: Api) -> Result<Credential, ErrorAnswer> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text("authorization").ok_or_else(|| missing_token(api))?;
    let parameters = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| incomplete("Authorization header requires 'AWS4-HMAC-SHA256'"))?;
    let parameter = |name: &str| {
        parameters
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
            .ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter")))
    };
    let signature = parameter("Signature")?;
    parameter("SignedHeaders")?;
    let scope: Vec<&str> = parameter("Credential")?.split('/').collect();
    let [access_key, date, region, scoped_service, "aws4_request"] = scope.as_slice() else {
        return Err(incomplete(
            "Credential must have the form KEY/DATE/REGION/SERVICE/aws4_request",
        ));
    };
    let name = api.signing_name();
    if *scoped_service != name {
        return Err(api.error(
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            &format!("Credential should be scoped to correct service: '{name}'. "),
        ));
    }
    let is_signature = signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit());
    let is_dated = text("x-amz-date").is_some_and(|time| !date.is_empty() && time.starts_with(*date));
    if !is_signature || !is_dated {
        return Err(api.error(
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    let region = region
        .parse()
        .map_err(|_| incomplete("Credential should be scoped to a valid region"))?;
    Ok(Credential {
        access_key: (*access_key).to_owned(),
        region,
        token: text("x-amz-security-token").map(str::to_owned),
    })
}

impl Api {
    fn signing_name(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::Sts => "sts",
        }
    }

    /// STS answers 403 with short codes where AWS JSON answers 400 with long ones.
    fn error(self, sts_code: &'static str, ecr_code: &'static str, message: &str) -> ErrorAnswer {
        match self {
            Self::Ecr => ErrorAnswer::new(400, ecr_code, message),
            Self::Sts => ErrorAnswer::new(403, sts_code, message),
        }
    }
}

impl Identities {
    /// The identity behind a credential.
    ///
    /// A key of twelve digits, or `AKIA` and twelve digits and anything, belongs to the account of those digits; a key
    /// that the sandbox issued to its role's account; any other key to [`DEFAULT_ACCOUNT`].
    pub(in super::super) fn authenticate(
        &self,
        credential: &Credential,
        api: Api,
        now: Timestamp,
    ) -> Result<Identity, ErrorAnswer> {
        let key = credential.access_key.as_str();
        let session = self.sessions.get(key);
        let is_expired =
            self.expired.contains(key) || session.is_some_and(|session| session.expires_at <= now);
        if is_expired {
            return Err(api.error(
                "ExpiredToken",
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ));
        }
        let has_token = session.is_some_and(|session| credential.token.as_ref() == Some(&session.token));
        if key.starts_with(ISSUED_PREFIX) && !has_token {
            return Err(api.error(
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        }
        let account = match session {
            Some(session) => Some(session.account.clone()),
            None => account_of_key(key).or_else(|| DEFAULT_ACCOUNT.parse().ok()),
        };
        let account = account.ok_or_else(|| missing_token(api))?;
        let partition = partition(credential.region.as_str());
        let arn = match session {
            Some(session) => format!(
                "arn:{partition}:sts::{account}:assumed-role/{}/{}",
                session.role, session.name
            ),
            None => format!("arn:{partition}:iam::{account}:user/sandbox"),
        };
        Ok(Identity {
            user_id: session.map_or_else(
                || "AIDASANDBOX".to_owned(),
                |session| format!("AROASANDBOX:{}", session.name),
            ),
            is_role: session.is_some(),
            caller: Caller {
                account,
                region: credential.region.clone(),
            },
            arn,
        })
    }

    /// Issues temporary credentials and returns their access key.
    pub(in super::super) fn issue(&mut self, session: Session) -> String {
        let key = format!("{ISSUED_PREFIX}{:09}", self.sessions.len() + 1);
        self.sessions.insert(key.clone(), session);
        key
    }

    /// From now on the credentials with this key are expired.
    pub(in super::super) fn expire(&mut self, access_key: &str) {
        self.expired.insert(access_key.to_owned());
    }
}

fn account_of_key(key: &str) -> Option<AccountId> {
    let named = key.strip_prefix("AKIA").or((key.len() == 12).then_some(key))?;
    named.get(..12)?.parse().ok()
}

fn missing_token(api: Api) -> ErrorAnswer {
    api.error(
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    )
}

fn incomplete(message: &str) -> ErrorAnswer {
    ErrorAnswer::new(400, "IncompleteSignatureException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn signed(scope: &str) -> HeaderMap {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={}",
            "a".repeat(64)
        );
        headers(&[
            ("authorization", &authorization),
            ("x-amz-date", "20260102T030405Z"),
        ])
    }

    #[test]
    fn scopes_are_checked() {
        let code = |headers: &HeaderMap| read(headers, Api::Ecr).unwrap_err().code.into_owned();
        assert_eq!(code(&headers(&[])), "MissingAuthenticationTokenException");
        assert_eq!(
            code(&headers(&[("authorization", "Basic x")])),
            "IncompleteSignatureException"
        );
        for (scope, expected) in [
            (
                "k/20260102/us-east-1/sts/aws4_request",
                "InvalidSignatureException",
            ),
            (
                "k/20260103/us-east-1/ecr/aws4_request",
                "InvalidSignatureException",
            ),
            ("k/20260102/us-east-1/ecr", "IncompleteSignatureException"),
            ("k/20260102/US/ecr/aws4_request", "IncompleteSignatureException"),
        ] {
            assert_eq!(code(&signed(scope)), expected, "{scope}");
        }
        let credential = read(&signed("k/20260102/eu-west-1/ecr/aws4_request"), Api::Ecr).unwrap();
        assert_eq!(credential.region.as_str(), "eu-west-1");
    }

    #[test]
    fn keys_name_accounts() {
        for (key, account) in [
            ("111122223333", Some("111122223333")),
            ("AKIA111122223333", Some("111122223333")),
            ("AKIA111122223333WXYZ", Some("111122223333")),
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("test", None),
        ] {
            assert_eq!(
                account_of_key(key),
                account.map(|account| account.parse().unwrap()),
                "{key}"
            );
        }
    }
}
