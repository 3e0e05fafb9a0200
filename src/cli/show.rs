//! `show`: a saved changeset again, in any format.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::args::{Format, OutputArgs};
use super::{CliError, Exit, Session, input};
use crate::changeset::Changeset;
use crate::changeset::file::Document;
use crate::diagnostic::Sources;
use crate::registry::Rate;
use crate::render;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ecr-retag show cut.json\n  ecr-retag show cut.json --format markdown")]
pub(super) struct ShowArgs {
    /// A changeset that `plan --out` has saved, or `-` for standard input
    #[arg(value_name = "CHANGESET", value_hint = ValueHint::FilePath)]
    changeset: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(session: &Session, args: &ShowArgs) -> Result<Exit, CliError> {
    let text = input::read_text(&args.changeset)?;
    let (changeset, document) = parse_changeset(&args.changeset, &text)?;
    session.print_diagnostics(&changeset.diagnostics, &Sources::default());
    if args.output.format() == Format::Json {
        // The places of its diagnostics can be read from the file only.
        session.print(&render::escape_json(&document.to_json()))?;
        return Ok(Exit::Done);
    }
    session.print_changeset(
        &changeset,
        &Sources::default(),
        &args.output,
        Rate::default().start(),
    )?;
    Ok(Exit::Done)
}

/// Reads a saved changeset and compares its digest with its changes.
pub(super) fn parse_changeset(path: &std::path::Path, text: &str) -> Result<(Changeset, Document), CliError> {
    let at = |source| CliError::Changeset {
        path: path.to_owned(),
        source,
    };
    let document = Document::parse(text).map_err(at)?;
    let changeset = document.to_changeset().map_err(at)?;
    Ok((changeset, document))
}
