//! `sandbox`: the embedded registry as a server, its seed, its state file.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueHint};

use super::interrupt::Interrupt;
use super::{CliError, Exit, Session};
use crate::sandbox::{self, Sandbox};

/// Where the sandbox keeps its state, unless the command line says otherwise.
pub(super) const STATE_FILE: &str = ".ecr-retag/sandbox.json";

#[derive(Debug, Subcommand)]
pub(super) enum SandboxCommand {
    /// Answer ECR's API on 127.0.0.1, for the AWS CLI and SDKs
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
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
}

pub(super) fn run(session: &Session, command: &SandboxCommand) -> Result<Exit, CliError> {
    match command {
        SandboxCommand::Serve(args) => super::block_on(serve(session, args)),
    }
}

async fn serve(session: &Session, args: &ServeArgs) -> Result<Exit, CliError> {
    let sandbox = Sandbox::open(&args.state, Arc::clone(&session.environment.clock))?;
    let interrupt = Interrupt::default();
    let mut announced = Ok(());
    let on_ready = |address: std::net::SocketAddr| {
        session.printer.err(&format!("Listening on http://{address}\n"));
        if let Some(path) = &args.port_file {
            announced = super::output::write_file(path, &format!("{}\n", address.port()));
        }
    };
    let shutdown = interrupt.token().clone().cancelled_owned();
    let served = interrupt
        .watch(sandbox::serve::serve(
            sandbox.clone(),
            args.port,
            on_ready,
            shutdown,
        ))
        .await;
    announced?;
    sandbox.save()?;
    match served {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(source)) => Err(CliError::other(
            format!("cannot listen on 127.0.0.1:{}: {source}", args.port),
            "choose another `--port`",
        )),
        Err(exit) => Ok(exit),
    }
}
