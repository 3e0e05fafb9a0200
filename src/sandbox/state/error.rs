//! ECR's error answers.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::model::{AccountId, RepositoryName};

/// An error as ECR answers it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ErrorAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The name of the error, such as `RepositoryNotFoundException`.
    pub code: Cow<'static, str>,
    /// What clients show.
    pub message: String,
}

impl ErrorAnswer {
    /// An error of this status, code and message.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    /// An error that is the client's: the API model gives these no status, AWS JSON answers them with 400.
    pub fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// A throttle in the shape that is seen most.
    pub fn throttling() -> Self {
        Self::client("ThrottlingException", "Rate exceeded")
    }

    /// The call is not allowed.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::client("AccessDeniedException", message)
    }

    pub(super) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::client("InvalidParameterException", message)
    }

    pub(super) fn invalid(parameter: &str, constraint: &str) -> Self {
        Self::invalid_parameter(format!(
            "Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'"
        ))
    }

    pub(super) fn repository_not_found(name: &RepositoryName, account: &AccountId) -> Self {
        Self::client(
            "RepositoryNotFoundException",
            format!("The repository with name '{name}' does not exist in the registry with id '{account}'"),
        )
    }

    pub(super) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::client("LimitExceededException", message)
    }

    /// The JSON body.
    pub(crate) fn to_body(&self) -> Value {
        json!({ "__type": self.code, "message": self.message })
    }
}
