//! Everything that is printed: pure views from data to text, and [`Printer`], which alone writes it.

mod access;
mod changeset;
#[cfg(test)]
mod compatibility;
mod diagnostic;
mod difference;
mod events;
mod explanation;
#[cfg(test)]
mod fixture;
mod github;
mod gitlab;
mod grouping;
mod html;
mod markdown;
mod matching;
mod message;
mod outcome;
mod printer;
mod progress;
mod prompt;
mod starter;
mod summary;
mod text;
mod validation;

pub use access::{access_json, access_text};
pub use changeset::{ChangesetView, changeset_text};
pub use diagnostic::diagnostics_text;
pub use difference::differences_text;
pub use events::{EVENT_FORMAT_VERSION, EventLine, EventLines, event_schema};
pub use explanation::{explanation_json, explanation_text};
pub use github::{GithubOutputs, github_annotations, github_error};
pub use gitlab::gitlab_report;
pub use html::changeset_html;
pub use markdown::{MARKDOWN_BYTES_MAX, PageView, changeset_markdown, outcome_markdown};
pub use matching::{MatchView, match_text, matches_json};
pub use message::{error_text, warning_text};
pub use outcome::{OutcomeCounts, OutcomeView, outcome_text};
pub use printer::{Environment, Printer, Verbosity, Written};
pub use progress::{Phase, Progress, ProgressStatus};
pub use prompt::{APPROVAL, prompt_text};
pub use starter::{StarterRepository, starter_plan};
pub use text::{Look, escape, escape_json};
pub use validation::validation_json;
