//! The options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ColorChoice, ValueEnum, ValueHint};

use crate::model::Region;
use crate::registry::Rate;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct GlobalArgs {
    /// When to colour [env: NO_COLOR, CLICOLOR_FORCE, FORCE_COLOR]
    #[arg(long, global = true, value_parser = color_parser(), value_name = "WHEN", default_value = "auto", hide_default_value = true, help_heading = "General")]
    pub(super) color: ColorChoice,
    /// Print only what was asked for, warnings and errors
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "verbose",
        help_heading = "General"
    )]
    pub(super) quiet: bool,
    /// Say more: each change as it is made
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "General")]
    pub(super) verbose: u8,
    /// Write annotations, the step's outputs and its summary [env: GITHUB_ACTIONS]
    #[arg(long, global = true, help_heading = "General")]
    pub(super) github: bool,
}

/// Plan files and the values of their variables.
#[derive(Debug, Clone, Args)]
pub(super) struct PlanArgs {
    /// Plan files, a directory of them, or `-` for standard input; several are one plan
    #[arg(required = true, value_name = "PLAN", value_hint = ValueHint::AnyPath)]
    pub(super) plans: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) variables: VariableArgs,
}

/// The values of a plan file's variables.
#[derive(Debug, Clone, Args)]
pub(super) struct VariableArgs {
    /// Set a variable of the plan file; beats --var-file and ECR_RETAG_VAR_NAME
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_variable, help_heading = "Plan file")]
    pub(super) vars: Vec<(String, String)>,
    /// Read variables from a YAML mapping or a file of NAME=VALUE lines
    #[arg(long = "var-file", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Plan file")]
    pub(super) var_files: Vec<PathBuf>,
}

/// Which addresses the run is about.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ScopeArgs {
    /// Only change tags whose address (REPOSITORY:TAG) matches this glob; other repositories are not even read
    #[arg(long = "target", value_name = "GLOB", help_heading = "Scope")]
    pub(super) targets: Vec<String>,
    /// Do not change tags whose address matches this glob
    #[arg(long = "exclude", value_name = "GLOB", help_heading = "Scope")]
    pub(super) excludes: Vec<String>,
    /// Leave out what could not be read of a registry; an apply then ends with 3
    #[arg(long, help_heading = "Scope")]
    pub(super) allow_partial: bool,
}

/// How registries are reached.
#[derive(Debug, Clone, Args)]
pub(super) struct ConnectionArgs {
    /// Use a profile of ~/.aws/config [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    pub(super) profile: Option<String>,
    /// Use this region [env: AWS_REGION]
    #[arg(long, value_name = "REGION", help_heading = "Connection")]
    pub(super) region: Option<Region>,
    /// Send the calls to ECR to this URL [env: AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, help_heading = "Connection")]
    pub(super) endpoint_url: Option<String>,
    /// Trust the certificates in this PEM file [env: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Connection")]
    pub(super) ca_bundle: Option<PathBuf>,
    /// Trust any certificate
    #[arg(long, help_heading = "Connection")]
    pub(super) no_verify_ssl: bool,
    /// Give up connecting after so many seconds; 0 for never
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "5", help_heading = "Connection")]
    pub(super) connect_timeout: Duration,
    /// Give up waiting for an answer after so many seconds; 0 for never
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "30", help_heading = "Connection")]
    pub(super) read_timeout: Duration,
    /// Use the embedded registry instead of AWS; its state is kept in FILE
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = crate::cli::sandbox::STATE_FILE,
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["profile", "endpoint_url", "ca_bundle", "no_verify_ssl"],
        help_heading = "Connection"
    )]
    pub(super) sandbox: Option<PathBuf>,
}

/// What is printed on standard output.
#[derive(Debug, Clone, Args)]
pub(super) struct OutputArgs {
    /// Print JSON; the same as --format json
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pub(super) json: bool,
    /// Print the changeset in this format
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text, help_heading = "Output")]
    pub(super) format: Format,
    /// Also write to this file what --json prints
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(super) json_into: Option<PathBuf>,
    /// Write a report for GitLab's merge requests (artifacts:reports:terraform)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(super) gitlab_report: Option<PathBuf>,
    /// List everything, also what is right already, and collapse nothing
    #[arg(long, help_heading = "Output")]
    pub(super) full: bool,
}

impl OutputArgs {
    /// The format that was asked for.
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How a changeset is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment on a pull request
    Markdown,
    /// One self-contained page
    Html,
}

/// Reads when to colour, in this program's words and in the AWS CLI's.
fn color_parser() -> impl TypedValueParser<Value = ColorChoice> {
    PossibleValuesParser::new([
        PossibleValue::new("auto"),
        PossibleValue::new("always").alias("on"),
        PossibleValue::new("never").alias("off"),
    ])
    .map(|word| match word.as_str() {
        "always" | "on" => ColorChoice::Always,
        "never" | "off" => ColorChoice::Never,
        _ => ColorChoice::Auto,
    })
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must be NAME=VALUE".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Reads a span such as `90s`, `10m` or `1h30m`.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "it must be a span such as 90s or 10m".to_owned())?;
    Duration::try_from(span)
        .ok()
        .filter(|span| !span.is_zero())
        .ok_or_else(|| "it must be above zero".to_owned())
}

/// Reads `auto`, `max` or a number of calls per second.
pub(super) fn parse_rate(text: &str) -> Result<Rate, String> {
    text.parse()
        .map_err(|error: crate::registry::InvalidRate| error.to_string())
}
