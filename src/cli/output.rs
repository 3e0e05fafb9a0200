//! Prints changesets and diagnostics in the format that was asked for, and writes files whole or not at all.

use std::cell::OnceCell;
use std::io::{self, Write as _};
use std::path::Path;

use super::args::{Format, OutputArgs};
use super::{CliError, Session};
use crate::changeset::Changeset;
use crate::changeset::file::{Document, plan_digest};
use crate::diagnostic::{Diagnostic, Sources};
use crate::event::Outcome;
use crate::model::Digest;
use crate::render::{self, ChangesetView, OutcomeView, PageView};

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
        if self.github.is_some() {
            self.printer
                .err(&render::github_annotations(diagnostics, sources));
        }
        self.events.diagnostics(diagnostics, sources);
    }

    /// Prints a changeset on standard output, and writes it to the files that were asked for.
    ///
    /// `puts_per_second` is what the time is guessed from that an apply will take.
    pub(super) fn print_changeset(
        &self,
        changeset: &Changeset,
        sources: &Sources,
        output: &OutputArgs,
        puts_per_second: f64,
    ) -> Result<(), CliError> {
        let page = Page::new(changeset, sources, output, puts_per_second);
        let is_json = output.format() == Format::Json;
        let document = (is_json || output.json_into.is_some()).then(|| Document::new(changeset, sources));
        if let (Some(path), Some(document)) = (&output.json_into, &document) {
            write_file(path, |file| document.write_json(file))?;
        }
        let text = match document {
            Some(document) if is_json => render::escape_json(&document.to_json()).into_owned(),
            _ => self.page_text(&page),
        };
        self.report_changeset(&page)?;
        self.print(&text)?;
        Ok(())
    }

    /// Prints the changeset that is about to be applied: as lines of JSON where these were asked for, else as a page.
    pub(super) fn print_changeset_to_apply(
        &self,
        changeset: &Changeset,
        sources: &Sources,
        output: &OutputArgs,
        puts_per_second: f64,
    ) -> Result<(), CliError> {
        let page = Page::new(changeset, sources, output, puts_per_second);
        self.report_changeset(&page)?;
        self.events.planned(changeset);
        if output.format() != Format::Json {
            self.print(&self.page_text(&page))?;
        }
        Ok(())
    }

    /// Tells GitLab and GitHub of a changeset.
    fn report_changeset(&self, page: &Page<'_>) -> Result<(), CliError> {
        if let Some(path) = &page.output.gitlab_report {
            let report = render::gitlab_report(page.changeset);
            write_file(path, |file| file.write_all(report.as_bytes()))?;
        }
        if let Some(report) = &self.github {
            let markdown = render::changeset_markdown(page.changeset, page.sources, &page.view());
            report.planned(page.changeset, *page.digest(), markdown);
        }
        Ok(())
    }

    /// Writes a changeset for people.
    fn page_text(&self, page: &Page<'_>) -> String {
        let Page {
            changeset, sources, ..
        } = *page;
        match page.output.format() {
            Format::Markdown => render::changeset_markdown(changeset, sources, &page.view()),
            Format::Html => render::changeset_html(changeset, sources, &page.view()),
            Format::Text | Format::Json => {
                let view = ChangesetView {
                    look: self.printer.out_look(),
                    is_full: page.output.full,
                    plan_digest: Some(page.digest()),
                    puts_per_second: page.puts_per_second,
                };
                render::changeset_text(changeset, &view)
            }
        }
    }

    /// Prints what an apply has done: on standard output unless that holds something else.
    pub(super) fn print_outcome(
        &self,
        changeset: &Changeset,
        outcome: &Outcome,
        output: &OutputArgs,
        carry_on: &str,
    ) {
        let carry_on = Some(carry_on);
        self.events.recap(changeset, outcome);
        if let Some(report) = &self.github {
            report.applied(render::outcome_markdown(changeset, outcome, carry_on));
        }
        let view = |look| OutcomeView {
            look,
            is_full: output.full,
            carry_on,
        };
        // A reader that has gone away changes nothing about what was done.
        match output.format() {
            Format::Text => {
                let text = render::outcome_text(changeset, outcome, &view(self.printer.out_look()));
                let _ = self.print(&text);
            }
            Format::Markdown => {
                let _ = self.print(&render::outcome_markdown(changeset, outcome, carry_on));
            }
            Format::Json | Format::Html => {
                let text = render::outcome_text(changeset, outcome, &view(self.printer.err_look()));
                self.printer.err(&text);
            }
        }
    }
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_file(
    path: &Path,
    contents: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), CliError> {
    let write = || -> io::Result<()> {
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(directory)?;
        let mut file = readable(&mut tempfile::Builder::new()).tempfile_in(directory)?;
        let mut buffered = io::BufWriter::new(&mut file);
        contents(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
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

/// A changeset that is shown, and how.
struct Page<'a> {
    changeset: &'a Changeset,
    sources: &'a Sources,
    output: &'a OutputArgs,
    puts_per_second: f64,
    /// Computed once, whatever shows it.
    digest: OnceCell<Digest>,
}

impl<'a> Page<'a> {
    fn new(
        changeset: &'a Changeset,
        sources: &'a Sources,
        output: &'a OutputArgs,
        puts_per_second: f64,
    ) -> Self {
        Self {
            changeset,
            sources,
            output,
            puts_per_second,
            digest: OnceCell::new(),
        }
    }

    fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| plan_digest(self.changeset))
    }

    fn view(&self) -> PageView<'_> {
        PageView {
            plan_digest: Some(self.digest()),
            puts_per_second: self.puts_per_second,
        }
    }
}
