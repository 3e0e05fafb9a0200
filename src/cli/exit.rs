//! The exit codes: what scripts and CI decide by.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// An error: the plan file, the registry, the file system.
    Error,
    /// `plan --detailed-exitcode`: there are changes.
    Changes,
    /// Some changes failed or were not tried.
    Incomplete,
    /// A tag is no longer where the changeset says, and nothing else went wrong.
    Stale,
    /// A policy, a limit, an expectation or the identity of the changeset forbids it.
    Refused,
    /// The answer at the prompt was not `yes`.
    Declined,
    /// The command line is wrong.
    Usage,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// `put-image`: the command line is wrong, with the AWS CLI's code for it, as are the next ones.
    AwsUsage,
    /// `put-image`: region, credentials or certificates are missing.
    AwsConfiguration,
    /// `put-image`: ECR answered with an error.
    AwsService,
    /// `put-image`: everything else.
    AwsOther,
}

impl Exit {
    /// The code that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Incomplete => 3,
            Self::Stale => 4,
            Self::Refused => 5,
            Self::Declined => 6,
            Self::Usage => 64,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::AwsUsage => 252,
            Self::AwsConfiguration => 253,
            Self::AwsService => 254,
            Self::AwsOther => 255,
        }
    }

    /// What went wrong, in a word; `None` if nothing did.
    pub fn failure(self) -> Option<&'static str> {
        match self {
            Self::Done | Self::Changes => None,
            Self::Incomplete => Some("incomplete"),
            Self::Stale => Some("stale"),
            Self::Refused => Some("refused"),
            Self::Declined => Some("declined"),
            Self::Usage | Self::AwsUsage => Some("usage"),
            Self::Error | Self::AwsConfiguration | Self::AwsService | Self::AwsOther => Some("error"),
            Self::Interrupted | Self::Terminated => Some("interrupted"),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
