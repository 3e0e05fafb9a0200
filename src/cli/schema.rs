//! `schema`: the JSON Schemas of what this program reads and writes.

use clap::{Args, ValueEnum};

use super::{CliError, Exit, Session};
use crate::{apply, changeset, plan, render};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag schema plan > plan.schema.json     # for an editor to complete plan files from
  ecr-retag plan cut.yaml --json | check-jsonschema --schemafile <(ecr-retag schema changeset) -")]
pub(super) struct SchemaArgs {
    /// What to print the schema of
    #[arg(value_enum, value_name = "WHAT")]
    of: SchemaOf,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SchemaOf {
    /// A plan file
    Plan,
    /// A saved changeset, which is also what `plan --json` prints
    Changeset,
    /// A line of `apply --json`
    Event,
    /// A line of a journal
    Journal,
}

pub(super) fn run(session: &Session, args: &SchemaArgs) -> Result<Exit, CliError> {
    let schema = match args.of {
        SchemaOf::Plan => plan::schema(),
        SchemaOf::Changeset => changeset::file::schema(),
        SchemaOf::Event => render::event_schema(),
        SchemaOf::Journal => apply::journal::schema(),
    };
    session.print(&format!("{schema:#}\n"))?;
    Ok(Exit::Done)
}
