//! The lines of `apply --json` and `apply --json-into`: told while the run goes on.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::{Format, OutputArgs};
use super::{CliError, Session};
use crate::apply::journal::Clock;
use crate::changeset::Changeset;
use crate::diagnostic::{Diagnostic, Sources};
use crate::event::{Events, Outcome};
use crate::render::{self, EventLine, EventLines, Printer, Progress, ProgressStatus, Verbosity};

/// Where lines go; nowhere by default. Clones write to the same places.
#[derive(Clone, Default)]
pub(super) struct EventLog(Option<Arc<Log>>);

struct Log {
    out: Option<Arc<Printer>>,
    file: Option<Mutex<Option<File>>>,
    printer: Arc<Printer>,
    clock: Clock,
}

impl Session {
    /// The same session, with the lines that these options ask for.
    pub(super) fn with_event_log(&self, output: &OutputArgs) -> Result<Self, CliError> {
        let is_json = output.format() == Format::Json;
        let file = output.json_into.as_deref().map(create).transpose()?;
        let log = (is_json || file.is_some()).then(|| {
            Arc::new(Log {
                out: is_json.then(|| Arc::clone(&self.printer)),
                file: file.map(|file| Mutex::new(Some(file))),
                printer: Arc::clone(&self.printer),
                clock: Arc::clone(&self.environment.clock),
            })
        });
        let session = Self {
            events: EventLog(log),
            ..self.clone()
        };
        session.events.tell(|log| EventLine::version((log.clock)()));
        Ok(session)
    }
}

impl Session {
    /// Counts events, and tells each of them; on standard error too if more should be said.
    pub(super) fn listener(&self, changeset: &Changeset, progress: &Progress) -> Events {
        let is_verbose = self.printer.verbosity() == Verbosity::Verbose;
        if self.events.0.is_none() && !is_verbose {
            return progress.events();
        }
        let lines = EventLines::new(changeset);
        let (progress, log, printer) = (progress.clone(), self.events.clone(), Arc::clone(&self.printer));
        let clock = Arc::clone(&self.environment.clock);
        Events::new(move |event| {
            progress.record(&event);
            let Some(line) = lines.line(&event, clock()) else {
                return;
            };
            if is_verbose {
                printer.detail(&format!("{}\n", line.message()));
            }
            if let Some(log) = &log.0 {
                log.write(&line);
            }
        })
    }
}

fn create(path: &Path) -> Result<File, CliError> {
    let create = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        File::create(path)
    };
    create().map_err(|source| CliError::Write {
        path: path.to_owned(),
        source,
    })
}

impl EventLog {
    /// Tells what will be done.
    pub(super) fn planned(&self, changeset: &Changeset) {
        if let Some(log) = &self.0 {
            for line in EventLines::new(changeset).planned(changeset, (log.clock)()) {
                log.write(&line);
            }
        }
    }

    /// Tells what there is to say about the plan file.
    pub(super) fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        for diagnostic in diagnostics {
            self.tell(|log| EventLine::diagnostic(diagnostic, sources, (log.clock)()));
        }
    }

    /// Tells an error about the world.
    pub(super) fn error(&self, error: &dyn std::error::Error, help: Option<&str>) {
        self.tell(|log| EventLine::error(&error.to_string(), help, (log.clock)()));
    }

    /// Tells how far the run is.
    pub(super) fn progress(&self, status: &ProgressStatus) {
        self.tell(|log| EventLine::progress(status, (log.clock)()));
    }

    /// Tells how the run went.
    pub(super) fn recap(&self, changeset: &Changeset, outcome: &Outcome) {
        self.tell(|log| EventLines::recap(changeset, outcome, (log.clock)()));
    }

    fn tell(&self, line: impl FnOnce(&Log) -> EventLine) {
        if let Some(log) = &self.0 {
            log.write(&line(log));
        }
    }
}

impl Log {
    /// Writes a line where it can be written: a run never stops because nobody reads about it.
    fn write(&self, line: &EventLine) {
        let text = line.to_json();
        if let Some(out) = &self.out {
            let _ = out.out(&text);
        }
        let Some(file) = &self.file else { return };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = file.as_mut()
            && let Err(error) = open.write_all(text.as_bytes())
        {
            *file = None;
            let message = format!("the file of `--json-into` is not whole: {error}");
            let look = self.printer.err_look();
            self.printer.err(&render::warning_text(&message, None, look));
        }
    }
}
