//! What can go wrong between this program and a registry.

use std::fmt;
use std::time::Duration;

use super::Operation;
use crate::model::{RepositoryName, Tag};

/// A call to a registry, or the way to it, failed.
///
/// It knows where: operation, repository and tag, and AWS's own code and request id where an answer came. `Display`
/// says all of that in one line; [`RegistryError::help`] says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct RegistryError {
    detail: Box<Detail>,
    source: Option<Box<Cause>>,
}

/// What kind of failure it is, which decides what is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The quota of calls per second is used up: wait, and try again without limit.
    Throttled,
    /// The service or the connection failed in passing: try again a few times.
    Transient,
    /// Nothing answers at the endpoint.
    Unreachable,
    /// A quota of the account is reached, such as the images of a repository: final.
    Quota,
    /// The credentials do not allow it.
    Denied,
    /// The credentials are no longer valid.
    Expired,
    /// The way to the registry is not set up: region, credentials, profile, certificates.
    Configuration,
    /// The registry belongs to another account than the one that was pinned.
    WrongAccount,
    /// The repository does not exist.
    RepositoryNotFound,
    /// An image that was asked for does not exist.
    ImageNotFound,
    /// The image may exist, but its registry or its upstream did not hand it out.
    ImageUnavailable,
    /// The tag is on this image already.
    AlreadyExists,
    /// The tag exists, and the repository does not let it move.
    TagImmutable,
    /// The manifest that was sent has another digest than was said.
    DigestMismatch,
    /// The repository lacks layers or images that the manifest refers to.
    LayersMissing,
    /// ECR does not accept the request.
    Invalid,
    /// The answer makes no sense, however often it is asked for.
    UnexpectedAnswer,
    /// The run was interrupted before the call was made.
    Cancelled,
    /// The time given to the run was over before the call got through.
    DeadlineOver,
}

impl Kind {
    /// What happened, in two or three words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Transient => "no usable answer",
            Self::Unreachable => "unreachable",
            Self::Quota => "quota reached",
            Self::Denied => "access denied",
            Self::Expired => "credentials expired",
            Self::Configuration => "not set up",
            Self::WrongAccount => "wrong account",
            Self::RepositoryNotFound => "repository not found",
            Self::ImageNotFound => "image not found",
            Self::ImageUnavailable => "image unavailable",
            Self::AlreadyExists => "already exists",
            Self::TagImmutable => "tag is immutable",
            Self::DigestMismatch => "digest mismatch",
            Self::LayersMissing => "layers missing",
            Self::Invalid => "not accepted",
            Self::UnexpectedAnswer => "unexpected answer",
            Self::Cancelled => "interrupted",
            Self::DeadlineOver => "time is over",
        }
    }

    /// How often a call that fails so is tried, throttled attempts not counted; `None` for without limit.
    pub fn tries_max(self) -> Option<u32> {
        match self {
            Self::Throttled => None,
            Self::Transient => Some(8),
            Self::Unreachable => Some(6),
            _ => Some(1),
        }
    }

    /// Whether a write that failed so may have taken effect all the same.
    pub fn may_have_taken_effect(self) -> bool {
        matches!(self, Self::Transient | Self::UnexpectedAnswer)
    }

    /// Whether every further call must be expected to fail the same way.
    pub fn ends_the_run(self) -> bool {
        matches!(
            self,
            Self::Expired | Self::Configuration | Self::WrongAccount | Self::Unreachable
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Detail {
    kind: Kind,
    operation: Option<Operation>,
    repository: Option<RepositoryName>,
    tag: Option<Tag>,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    attempts: u32,
    help: Option<String>,
}

/// One link of the chain of causes, as text, so that errors can be cloned and compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
struct Cause {
    message: String,
    source: Option<Box<Cause>>,
}

impl Cause {
    /// Takes over at most this many links; deeper ones say nothing that the user could act on.
    const LINKS_MAX: usize = 16;

    fn chain(error: Option<&(dyn std::error::Error + 'static)>) -> Option<Box<Self>> {
        let mut messages: Vec<String> = std::iter::successors(error, |error| error.source())
            .take(Self::LINKS_MAX)
            .map(one_line)
            .collect();
        messages.dedup();
        messages
            .into_iter()
            .rev()
            .fold(None, |source, message| Some(Box::new(Self { message, source })))
    }
}

/// What an error says, on one line and no longer than a reader cares for.
pub(super) fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    const CHARS_MAX: usize = 400;
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let line = lines.join("; ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

impl RegistryError {
    /// An error of this kind, with what is known beyond the kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            detail: Box::new(Detail {
                kind,
                operation: None,
                repository: None,
                tag: None,
                code: None,
                message: message.into(),
                request_id: None,
                status: None,
                retry_after: None,
                attempts: 1,
                help: None,
            }),
            source: None,
        }
    }

    /// Says where it happened.
    #[must_use]
    pub fn during(mut self, operation: Operation, repository: Option<&RepositoryName>) -> Self {
        self.detail.operation = Some(operation);
        self.detail.repository = repository.cloned();
        self
    }

    /// Says which tag it is about.
    #[must_use]
    pub fn on_tag(mut self, tag: Option<&Tag>) -> Self {
        self.detail.tag = tag.cloned();
        self
    }

    /// Keeps AWS's code for it and the request's id.
    #[must_use]
    pub fn answered(mut self, code: Option<&str>, request_id: Option<&str>, status: Option<u16>) -> Self {
        self.detail.code = code.map(ToOwned::to_owned);
        self.detail.request_id = request_id.map(ToOwned::to_owned);
        self.detail.status = status;
        self
    }

    /// Keeps how long the service asked to be left alone.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.detail.retry_after = wait;
        self
    }

    /// Counts the attempts that were made, this one included.
    #[must_use]
    pub fn after_attempts(mut self, attempts: u32) -> Self {
        self.detail.attempts = attempts;
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.detail.help = Some(help.into());
        self
    }

    /// Keeps what caused it, as text.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.source = Cause::chain(Some(error));
        self
    }

    /// Changes the kind, keeping all else: an error that lasted too long is another error.
    #[must_use]
    pub fn into_kind(mut self, kind: Kind) -> Self {
        self.detail.kind = kind;
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> Kind {
        self.detail.kind
    }

    /// The operation that failed; none if it never came to a call.
    pub fn operation(&self) -> Option<Operation> {
        self.detail.operation
    }

    /// The repository it is about.
    pub fn repository(&self) -> Option<&RepositoryName> {
        self.detail.repository.as_ref()
    }

    /// The tag it is about.
    pub fn tag(&self) -> Option<&Tag> {
        self.detail.tag.as_ref()
    }

    /// AWS's own code, such as `ThrottlingException`.
    pub fn code(&self) -> Option<&str> {
        self.detail.code.as_deref()
    }

    /// What the service or the network said.
    pub fn message(&self) -> &str {
        &self.detail.message
    }

    /// The id under which AWS knows the request.
    pub fn request_id(&self) -> Option<&str> {
        self.detail.request_id.as_deref()
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.detail.status
    }

    /// How long the service asked to be left alone, at most 20 s.
    pub fn retry_after_wait(&self) -> Option<Duration> {
        self.detail.retry_after
    }

    /// How many attempts were made.
    pub fn attempts(&self) -> u32 {
        self.detail.attempts
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        let detail = &self.detail;
        if detail.help.is_some() {
            return detail.help.clone();
        }
        let help = match detail.kind {
            Kind::Throttled => {
                "the account's quota is used up by others; try again later, or ask AWS to raise it".to_owned()
            }
            Kind::Transient => "try again; what was done already is found done".to_owned(),
            Kind::Unreachable => {
                "check the endpoint, the region and the network, including `HTTPS_PROXY` and `NO_PROXY`"
                    .to_owned()
            }
            Kind::Quota => "remove what is no longer needed, or ask AWS to raise the quota".to_owned(),
            Kind::Denied => {
                let action = detail.operation.map(Operation::iam_action)?;
                match &detail.repository {
                    Some(repository) => {
                        format!("the credentials need `{action}` on the repository `{repository}`")
                    }
                    None => format!("the credentials need `{action}`"),
                }
            }
            Kind::Expired => {
                "get new credentials, for SSO with `aws sso login`, and run the same command again".to_owned()
            }
            Kind::WrongAccount => "check `account` in the plan file and the credentials in use".to_owned(),
            Kind::LayersMissing => {
                "an image can only be tagged in the repository that holds its layers".to_owned()
            }
            Kind::Configuration
            | Kind::RepositoryNotFound
            | Kind::ImageNotFound
            | Kind::ImageUnavailable
            | Kind::AlreadyExists
            | Kind::TagImmutable
            | Kind::DigestMismatch
            | Kind::Invalid
            | Kind::UnexpectedAnswer
            | Kind::Cancelled
            | Kind::DeadlineOver => return None,
        };
        Some(help)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim_end_matches('.');
        if matches!(self.kind, Kind::Configuration | Kind::Unreachable) {
            // It is not about the call that happened to be the first.
            f.write_str(message)?;
        } else {
            self.write_place(f)?;
            if !message.is_empty() {
                write!(f, ": {message}")?;
            }
        }
        match (&self.code, &self.request_id) {
            (Some(code), Some(id)) => write!(f, " ({code}, request id {id})")?,
            (Some(code), None) => write!(f, " ({code})")?,
            (None, Some(id)) => write!(f, " (request id {id})")?,
            (None, None) => {}
        }
        if self.attempts > 1 {
            write!(f, " after {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl Detail {
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(operation) = self.operation {
            write!(f, " in {operation}")?;
        }
        match (&self.repository, &self.tag) {
            (Some(repository), Some(tag)) => write!(f, " of `{repository}:{tag}`"),
            (Some(repository), None) => write!(f, " of `{repository}`"),
            (None, _) => Ok(()),
        }
    }
}
