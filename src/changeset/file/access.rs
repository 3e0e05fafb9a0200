//! How a registry is reached, as a saved changeset says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::parse;
use crate::plan::{Access, AssumeRole};

/// What the plan file says of how a registry is reached, under the plan file's own keys; none of it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AccessRecord {
    /// The region that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account that is sent with every call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// A profile of `~/.aws/config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The ARN of a role to take on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<String>,
    /// The id that the role's trust policy asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name of the role's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// How long the role's credentials last, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    /// Another endpoint than the region's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A ceiling for the pace of `PutImage`, in calls per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_image_per_second: Option<f64>,
}

impl AccessRecord {
    /// Writes down what the plan file says, if it says anything.
    pub(super) fn new(access: &Access) -> Option<Self> {
        let role = access.assume_role.as_ref();
        let record = Self {
            region: access.region.as_ref().map(ToString::to_string),
            account: access.account.as_ref().map(ToString::to_string),
            profile: access.profile.clone(),
            assume_role: role.map(|role| role.role_arn.clone()),
            external_id: role.and_then(|role| role.external_id.clone()),
            session_name: role.and_then(|role| role.session_name.clone()),
            duration_s: role.and_then(|role| role.duration_s),
            endpoint: access.endpoint.clone(),
            put_image_per_second: access.put_image_per_second,
        };
        (record != Self::default()).then_some(record)
    }

    /// What the plan file said.
    pub(super) fn read(&self) -> Result<Access, String> {
        let texts = [
            &self.profile,
            &self.assume_role,
            &self.external_id,
            &self.session_name,
            &self.endpoint,
        ];
        if texts
            .into_iter()
            .flatten()
            .any(|text| text.contains(char::is_control))
        {
            return Err("`access` holds control characters".to_owned());
        }
        Ok(Access {
            region: self.region.as_deref().map(parse).transpose()?,
            account: self.account.as_deref().map(parse).transpose()?,
            profile: self.profile.clone(),
            assume_role: self.assume_role.clone().map(|role_arn| AssumeRole {
                role_arn,
                external_id: self.external_id.clone(),
                session_name: self.session_name.clone(),
                duration_s: self.duration_s,
            }),
            endpoint: self.endpoint.clone(),
            put_image_per_second: self.put_image_per_second,
        })
    }
}
