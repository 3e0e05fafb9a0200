//! `sandbox`: the embedded registry as a server, its seed, its state file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use super::interrupt::Interrupt;
use super::{CliError, Exit, Session};
use crate::sandbox::command::{self, Contents, ServeOptions};
use crate::sandbox::quota::Quota;
use crate::sandbox::seed::HistoryOptions;

/// Where the sandbox keeps its state, unless the command line says otherwise.
pub(super) const STATE_FILE: &str = ".ecr-retag/sandbox.json";

#[derive(Debug, Subcommand)]
pub(super) enum SandboxCommand {
    /// Answer ECR's API on 127.0.0.1, for the AWS CLI and SDKs
    Serve(Box<ServeArgs>),
    /// Put the state back to the built-in seed
    Reset(ResetArgs),
    /// Add repositories: from a seed file, a tag history (TAG, COMMIT, DATE), or folders of them
    Seed(SeedArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag sandbox serve --port 5000
  AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 \\
    aws ecr list-images --repository-name shop/api --endpoint-url http://127.0.0.1:5000")]
pub(super) struct ServeArgs {
    /// Listen on this port of 127.0.0.1; 0 for a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Write the port here once connections are taken
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    port_file: Option<PathBuf>,
    /// Keep the state in this file
    #[arg(long, value_name = "FILE", default_value = STATE_FILE, value_hint = ValueHint::FilePath)]
    state: PathBuf,
    /// Keep the state in memory only
    #[arg(long, conflicts_with = "state")]
    in_memory: bool,
    /// Fill a new state from this seed, tag history or folder instead of the built-in seed
    #[arg(long = "seed", value_name = "FILE", value_hint = ValueHint::AnyPath)]
    seeds: Vec<PathBuf>,
    #[command(flatten)]
    history: HistoryArgs,
    /// Let calls fail as this fault plan says
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    faults: Option<PathBuf>,
    /// Set how many calls of an operation an account may make, such as PutImage=25; 0 for no limit
    #[arg(long = "quota", value_name = "OPERATION=PER_SECOND", value_parser = parse_quota)]
    quotas: Vec<Quota>,
    /// Set no limit to any operation
    #[arg(long)]
    no_quota: bool,
    /// Let each call take this long
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency: u64,
}

/// What becomes of tag histories.
#[derive(Debug, Clone, Copy, Args)]
struct HistoryArgs {
    /// Give each image of a tag history the tag src-COMMIT as well
    #[arg(long)]
    commit_tags: bool,
    /// Plant the images of a tag history without its tags
    #[arg(long)]
    images_only: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag sandbox reset
  ecr-retag sandbox reset --state rehearsal.json")]
pub(super) struct ResetArgs {
    /// The state file
    #[arg(long, value_name = "FILE", default_value = STATE_FILE, value_hint = ValueHint::FilePath)]
    state: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag sandbox seed seed.yaml
  ecr-retag sandbox seed histories/ --state rehearsal.json")]
pub(super) struct SeedArgs {
    /// Seed files (YAML), tag histories (TSV) or folders of them
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// The state file
    #[arg(long, value_name = "FILE", default_value = STATE_FILE, value_hint = ValueHint::FilePath)]
    state: PathBuf,
    #[command(flatten)]
    history: HistoryArgs,
}

impl From<HistoryArgs> for HistoryOptions {
    fn from(args: HistoryArgs) -> Self {
        Self {
            tags: !args.images_only,
            commit_tags: args.commit_tags,
            ..Self::default()
        }
    }
}

pub(super) fn run(session: &Session, command: &SandboxCommand) -> Result<Exit, CliError> {
    let clock = Arc::clone(&session.environment.clock);
    let contents = match command {
        SandboxCommand::Serve(args) => return super::block_on(serve(session, args)),
        SandboxCommand::Reset(args) => command::reset(&args.state)?,
        SandboxCommand::Seed(args) => command::seed(&args.state, &args.files, args.history.into(), clock)?,
    };
    let Contents {
        repositories,
        images,
        tags,
    } = contents;
    session.printer.note(&format!(
        "The sandbox holds {repositories} repositories with {images} images and {tags} tags.\n"
    ));
    Ok(Exit::Done)
}

async fn serve(session: &Session, args: &ServeArgs) -> Result<Exit, CliError> {
    let options = ServeOptions {
        port: args.port,
        port_file: args.port_file.clone(),
        state_file: (!args.in_memory).then(|| args.state.clone()),
        seeds: args.seeds.clone(),
        history: args.history.into(),
        faults: args.faults.clone(),
        is_unlimited: args.no_quota,
        quotas: args.quotas.clone(),
        latency: Duration::from_millis(args.latency),
    };
    let interrupt = Interrupt::default();
    let announce = |address| {
        session.printer.note(&format!("Listening on http://{address}\n"));
    };
    let shutdown = interrupt.token().clone().cancelled_owned();
    let clock = Arc::clone(&session.environment.clock);
    match interrupt
        .watch(command::serve(&options, clock, announce, shutdown))
        .await
    {
        Ok(served) => Ok(served.map(|()| Exit::Done)?),
        Err(exit) => Ok(exit),
    }
}

fn parse_quota(text: &str) -> Result<Quota, String> {
    const HELP: &str = "it must be OPERATION=PER_SECOND, such as PutImage=25";
    let (operation, number) = text.split_once('=').ok_or(HELP)?;
    let per_second: f64 = number.parse().map_err(|_| HELP)?;
    if !per_second.is_finite() || per_second < 0.0 {
        return Err(HELP.to_owned());
    }
    Ok(Quota::new(operation, (per_second > 0.0).then_some(per_second)))
}
