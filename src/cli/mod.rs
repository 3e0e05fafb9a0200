//! The command line: each command gathers, calls and renders, one file a command.

mod apply;
mod approval;
mod args;
mod carry_out;
mod check_access;
mod ci;
mod connect;
mod environment;
mod error;
mod event_log;
mod exit;
mod explain;
mod identity;
mod init;
mod input;
mod interrupt;
mod manual;
mod matching;
mod output;
mod plan;
mod planning;
mod put_image;
mod resume;
mod rollback;
mod sandbox;
mod schema;
mod show;
mod tags_file;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, ColorChoice, CommandFactory as _, Parser, Subcommand};

pub use environment::Environment;
pub use error::CliError;
pub use exit::Exit;

use crate::render::{Printer, Verbosity, Written};
use args::GlobalArgs;
use ci::GithubReport;
use event_log::EventLog;

/// Retag images in Amazon ECR in bulk, without pulling an image.
///
/// A plan file says which tags of which repositories should be named what. `plan` shows what would change, `apply`
/// changes it: as fast as the account's quota allows and no faster.
#[derive(Debug, Parser)]
#[command(
    name = "ecr-retag",
    version,
    propagate_version = true,
    max_term_width = 100,
    subcommand_required = true
)]
#[command(after_help = "\
Exit codes: 0 done · 1 error · 2 there are changes (plan --detailed-exitcode) · 3 incomplete · 4 stale · 5 refused · \
6 declined · 64 wrong usage · 130/143 interrupted; put-image has those of the AWS CLI")]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check plan files without asking any registry
    Validate(validate::ValidateArgs),
    /// Show which tags each rule takes, what they become, and why others are left out
    Match(matching::MatchArgs),
    /// Show what would change
    Plan(plan::PlanCommandArgs),
    /// Print a saved changeset
    Show(show::ShowArgs),
    /// Change tags: of plan files after asking, or exactly as a saved changeset says
    Apply(apply::ApplyArgs),
    /// Take back what a run did, as far as nobody has changed it since
    Rollback(rollback::RollbackArgs),
    /// Put one image, with the options and output of `aws ecr put-image`
    PutImage(Box<put_image::PutImageArgs>),
    /// Show why a tag is changed, kept, skipped or not touched
    Explain(explain::ExplainArgs),
    /// Print a plan file to start from
    Init(init::InitArgs),
    /// Run the embedded registry, or fill it
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    /// Print the JSON Schema of a plan file, a changeset, an event or a journal
    Schema(schema::SchemaArgs),
    /// Print what a shell completes this program's commands and options from
    Completions(manual::CompletionsArgs),
    /// Print the manual page
    Man(manual::ManArgs),
}

/// What every command is given.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) printer: Arc<Printer>,
    pub(crate) environment: Environment,
    /// Where `apply --json` writes its lines; nowhere for other commands.
    events: EventLog,
    /// What GitHub is told when the command has ended; nothing elsewhere.
    github: Option<Arc<GithubReport>>,
}

/// Runs the program with these arguments and says how it ended.
pub fn run(args: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error, usage_exit(args), &environment),
    };
    let verbosity = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, 0) => Verbosity::Normal,
        _ => Verbosity::Verbose,
    };
    let printer = Printer::new(&environment.streams, cli.global.color, verbosity);
    let is_on_github = cli.global.github || environment.get("GITHUB_ACTIONS") == Some("true");
    let session = Session {
        printer: Arc::new(printer),
        environment,
        events: EventLog::default(),
        github: is_on_github.then(Arc::default),
    };
    let done = session.run(&cli.command);
    let exit = done
        .as_ref()
        .copied()
        .unwrap_or_else(|error| session.report(error));
    match session.tell_github(&done) {
        Err(error) if exit == Exit::Done => session.report(&error).into(),
        Err(error) => {
            session.report(&error);
            exit.into()
        }
        Ok(()) => exit.into(),
    }
}

impl Session {
    fn run(&self, command: &Command) -> Result<Exit, CliError> {
        match command {
            Command::Validate(args) => validate::run(self, args),
            Command::Match(args) => block_on(matching::run(self, args)),
            Command::Explain(args) => block_on(explain::run(self, args)),
            Command::Init(args) => block_on(init::run(self, args)),
            Command::Show(args) => show::run(self, args),
            Command::Plan(args) => block_on(plan::run(self, args)),
            Command::Apply(args) => block_on(apply::run(self, args)),
            Command::Rollback(args) => block_on(rollback::run(self, args)),
            Command::PutImage(args) => put_image::run(self, args),
            Command::Sandbox(command) => sandbox::run(self, command),
            Command::Schema(args) => schema::run(self, args),
            Command::Completions(args) => manual::completions(self, args),
            Command::Man(args) => manual::man(self, args),
        }
    }
}

/// Runs a command that calls registries; what still runs in the background when it is done is left behind.
fn block_on(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        CliError::other(
            format!("the runtime cannot be started: {error}"),
            "raise the limit of open files",
        )
    })?;
    let done = runtime.block_on(Box::pin(command));
    runtime.shutdown_background();
    done
}

/// How wrong usage ends: `put-image` has the AWS CLI's code for it.
///
/// Which command was meant is asked of clap itself, errors aside.
fn usage_exit(args: Vec<OsString>) -> Exit {
    let lenient = Cli::command().ignore_errors(true).try_get_matches_from(args);
    match lenient.ok().as_ref().and_then(ArgMatches::subcommand_name) {
        Some(put_image::NAME) => Exit::AwsUsage,
        _ => Exit::Usage,
    }
}

/// Prints clap's message or help; clap's own code for wrong usage, 2, means something else here.
fn report_usage(error: &clap::Error, exit: Exit, environment: &Environment) -> ExitCode {
    let printer = Printer::new(&environment.streams, ColorChoice::Auto, Verbosity::Normal);
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        // Errors start alike, whoever found them; clap's colour codes may stand before the word.
        printer.err(&text.replacen("error:", "Error:", 1));
        exit.into()
    } else {
        match printer.out(&text) {
            Ok(_) => Exit::Done.into(),
            Err(_) => Exit::Error.into(),
        }
    }
}

impl Session {
    /// Prints what ended a command early.
    fn report(&self, error: &CliError) -> Exit {
        self.print_error(error, error.help().as_deref());
        error.exit()
    }

    /// Prints one error about the world.
    pub(crate) fn print_error(&self, error: &dyn std::error::Error, help: Option<&str>) {
        self.printer
            .err(&crate::render::error_text(error, help, self.printer.err_look()));
        if self.github.is_some() {
            self.printer
                .err(&crate::render::github_error(&error.to_string(), help));
        }
        self.events.error(error, help);
    }

    /// Prints what was asked for; a reader that has gone away ends a command quietly.
    pub(crate) fn print(&self, text: &str) -> Result<Written, CliError> {
        self.printer.out(text).map_err(|source| CliError::Write {
            path: "standard output".into(),
            source,
        })
    }
}
