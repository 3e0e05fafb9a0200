//! What ends `put-image` early, in the AWS CLI's words.

use std::fmt;

/// `put-image` did not do what it was asked; each kind has its own exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutImageError {
    /// The options, or what they hold, are not accepted; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// Region, credentials or certificates are missing.
    #[error("{0}")]
    Configuration(String),
    /// ECR answered with an error.
    #[error("{0}")]
    Service(ServiceError),
    /// Everything else: no answer, a query that cannot be evaluated, an output that cannot be made.
    #[error("{0}")]
    Other(String),
}

/// An error that ECR answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// ECR's name for it, such as `ImageAlreadyExistsException`.
    pub code: String,
    /// What ECR said.
    pub message: String,
    /// How often the call was repeated in vain; nothing if it was not worth repeating.
    pub retries: Option<u32>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            message,
            retries,
        } = self;
        write!(
            f,
            "An error occurred ({code}) when calling the PutImage operation"
        )?;
        if let Some(retries) = retries {
            write!(f, " (reached max retries: {retries})")?;
        }
        write!(f, ": {message}")
    }
}

impl PutImageError {
    /// A value of an option cannot be used.
    pub(super) fn parameter(option: &str, why: impl fmt::Display) -> Self {
        Self::Usage(format!("Error parsing parameter '{option}': {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_error_reads_as_the_aws_cli_prints_it() {
        let mut error = ServiceError {
            code: "ThrottlingException".to_owned(),
            message: "Rate exceeded".to_owned(),
            retries: None,
        };
        assert_eq!(
            error.to_string(),
            "An error occurred (ThrottlingException) when calling the PutImage operation: Rate exceeded"
        );
        error.retries = Some(2);
        assert_eq!(
            PutImageError::Service(error).to_string(),
            "An error occurred (ThrottlingException) when calling the PutImage operation (reached max retries: 2): \
             Rate exceeded"
        );
    }
}
