//! The command line of `ecr-retag`: arguments in, exit code out.

use std::process::ExitCode;

use ecr_retag::cli;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), cli::Environment::of_process())
}
