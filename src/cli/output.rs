//! Prints changesets and diagnostics in the format that was asked for, and writes files whole or not at all.

use std::io::Write as _;
use std::path::Path;

use super::args::{Format, OutputArgs};
use super::{CliError, Session};
use crate::changeset::Changeset;
use crate::changeset::file::{Document, plan_digest};
use crate::diagnostic::{Diagnostic, Sources};
use crate::render::{self, ChangesetView, PageView};

impl Session {
    /// Prints diagnostics on standard error, and as annotations where GitHub runs the command.
    pub(super) fn print_diagnostics(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        if diagnostics.is_empty() {
            return;
        }
        self.printer.err(&render::diagnostics_text(
            diagnostics,
            sources,
            self.printer.err_look(),
        ));
        if self.environment.get("GITHUB_ACTIONS") == Some("true") {
            self.printer
                .err(&render::github_annotations(diagnostics, sources));
        }
    }

    /// Prints a changeset on standard output, and writes it to the file of `--json-into`.
    ///
    /// `puts_per_second` is what the time is guessed from that an apply will take.
    pub(super) fn print_changeset(
        &self,
        changeset: &Changeset,
        sources: &Sources,
        output: &OutputArgs,
        puts_per_second: f64,
    ) -> Result<(), CliError> {
        if let Some(path) = &output.json_into {
            write_file(path, &Document::new(changeset, sources).to_json())?;
        }
        let digest = plan_digest(changeset);
        let plan_digest = Some(&digest);
        let text = match output.format() {
            Format::Text => {
                let look = self.printer.out_look();
                let view = ChangesetView {
                    look,
                    is_full: output.full,
                    plan_digest,
                    puts_per_second,
                };
                render::changeset_text(changeset, &view)
            }
            Format::Json => Document::new(changeset, sources).to_json(),
            Format::Markdown => render::changeset_markdown(
                changeset,
                sources,
                &PageView {
                    plan_digest,
                    puts_per_second,
                },
            ),
            Format::Html => render::changeset_html(
                changeset,
                sources,
                &PageView {
                    plan_digest,
                    puts_per_second,
                },
            ),
        };
        self.print(&text)?;
        Ok(())
    }
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), CliError> {
    let write = || -> std::io::Result<()> {
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(directory)?;
        let mut file = readable(&mut tempfile::Builder::new()).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| CliError::Write {
        path: path.to_owned(),
        source,
    })
}

/// A temporary file is for its owner only; what takes its place is for whoever may read the folder.
#[cfg(unix)]
fn readable<'a>(
    builder: &'a mut tempfile::Builder<'static, 'static>,
) -> &'a mut tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable<'a>(
    builder: &'a mut tempfile::Builder<'static, 'static>,
) -> &'a mut tempfile::Builder<'static, 'static> {
    builder
}
