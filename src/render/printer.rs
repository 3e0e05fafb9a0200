//! The one place that writes to standard output and standard error.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use anstream::AutoStream;
use clap::ColorChoice;
use indicatif::{MultiProgress, ProgressDrawTarget};

use super::text::Look;

/// What the environment says about how to print; read once, by `cli`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NO_COLOR`.
    pub no_color: Option<String>,
    /// `CLICOLOR_FORCE`.
    pub clicolor_force: Option<String>,
    /// `FORCE_COLOR`.
    pub force_color: Option<String>,
    /// `TERM`.
    pub term: Option<String>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// The columns of the terminal, if there is one.
    pub columns: Option<usize>,
}

impl Environment {
    /// Fills in what the streams themselves say; the variables are left empty.
    pub fn of_streams() -> Self {
        let columns = terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0));
        Self {
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            columns,
            ..Self::default()
        }
    }

    /// Whether a stream gets colour: a flag beats `NO_COLOR`, that beats what forces colour, that beats `TERM=dumb`.
    fn is_colored(&self, choice: ColorChoice, is_terminal: bool) -> bool {
        let is_set = |variable: &Option<String>| variable.as_deref().is_some_and(|value| !value.is_empty());
        let forces = |variable: &Option<String>| {
            is_set(variable) && !matches!(variable.as_deref(), Some("0" | "false"))
        };
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if is_set(&self.no_color) => false,
            ColorChoice::Auto if forces(&self.clicolor_force) || forces(&self.force_color) => true,
            ColorChoice::Auto => is_terminal && !self.is_dumb(),
        }
    }

    /// Whether the terminal cannot move its cursor, so that nothing can be drawn over.
    fn is_dumb(&self) -> bool {
        self.term.as_deref() == Some("dumb")
    }
}

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// What was asked for, warnings and errors.
    Quiet,
    /// Also progress and notes.
    #[default]
    Normal,
    /// Also details.
    Verbose,
}

/// What became of a text that was to be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was printed.
    All,
    /// The other end of the pipe is closed: nobody reads any more.
    Closed,
}

/// Writes to standard output and standard error, and draws progress between the lines.
pub struct Printer {
    out: Stream,
    err: Stream,
    verbosity: Verbosity,
    bars: MultiProgress,
    draws: bool,
}

struct Stream {
    sink: Mutex<Option<AutoStream<Box<dyn Write + Send>>>>,
    look: Look,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer")
            .field("verbosity", &self.verbosity)
            .finish_non_exhaustive()
    }
}

impl Printer {
    /// A printer to the streams of this program.
    pub fn new(environment: &Environment, color: ColorChoice, verbosity: Verbosity) -> Self {
        let mut printer = Self::to_writers(
            environment,
            color,
            verbosity,
            Box::new(io::stdout()),
            Box::new(io::stderr()),
        );
        printer.draws =
            environment.stderr_is_terminal && !environment.is_dumb() && verbosity > Verbosity::Quiet;
        if printer.draws {
            printer.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
        printer
    }

    /// A printer to other streams, such as a test's buffers; it draws nothing.
    pub fn to_writers(
        environment: &Environment,
        color: ColorChoice,
        verbosity: Verbosity,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        let stream = |sink: Box<dyn Write + Send>, is_terminal: bool| {
            let look = Look {
                is_colored: environment.is_colored(color, is_terminal),
                width: environment.columns.filter(|_| is_terminal),
            };
            let choice = if look.is_colored {
                anstream::ColorChoice::Always
            } else {
                anstream::ColorChoice::Never
            };
            Stream {
                sink: Mutex::new(Some(AutoStream::new(sink, choice))),
                look,
            }
        };
        Self {
            out: stream(out, environment.stdout_is_terminal),
            err: stream(err, environment.stderr_is_terminal),
            verbosity,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            draws: false,
        }
    }

    /// How text for standard output may look.
    pub fn out_look(&self) -> Look {
        self.out.look
    }

    /// How text for standard error may look.
    pub fn err_look(&self) -> Look {
        self.err.look
    }

    /// How much to say.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Prints what was asked for: a changeset, JSON, a page.
    ///
    /// Once the pipe is closed this says so and writes nothing. An error is one of the stream itself, such as a full
    /// disk.
    pub fn out(&self, text: &str) -> io::Result<Written> {
        self.bars.suspend(|| self.out.write(text))
    }

    /// Prints a warning, an error or a question. Where even that fails there is nobody left to tell.
    pub fn err(&self, text: &str) {
        let _ = self.bars.suspend(|| self.err.write(text));
    }

    /// Prints something good to know, such as the path of a journal, unless told to be quiet.
    pub fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.err(text);
        }
    }

    /// Prints a detail, if details were asked for.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.err(text);
        }
    }

    /// A printer that draws progress on this terminal and prints nowhere.
    #[cfg(test)]
    pub(super) fn to_terminal(terminal: indicatif::InMemoryTerm) -> Self {
        let (out, err) = (Box::new(io::sink()), Box::new(io::sink()));
        let mut printer = Self::to_writers(
            &Environment::default(),
            ColorChoice::Auto,
            Verbosity::Normal,
            out,
            err,
        );
        printer
            .bars
            .set_draw_target(ProgressDrawTarget::term_like(Box::new(terminal)));
        printer.draws = true;
        printer
    }

    /// Where progress is drawn; nowhere unless standard error is a terminal.
    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether progress is drawn, so that plain lines of progress are not needed.
    pub(super) fn draws(&self) -> bool {
        self.draws
    }
}

impl Stream {
    fn write(&self, text: &str) -> io::Result<Written> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stream) = sink.as_mut() else {
            return Ok(Written::Closed);
        };
        match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
            Ok(()) => Ok(Written::All),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                *sink = None;
                Ok(Written::Closed)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    fn terminal() -> Environment {
        Environment {
            stdout_is_terminal: true,
            columns: Some(80),
            ..Environment::default()
        }
    }

    #[test]
    fn a_flag_beats_the_environment_and_no_color_beats_force() {
        let on = |variable: &str| Some(variable.to_owned());
        let plain = terminal();
        let no = Environment {
            no_color: on("1"),
            force_color: on("1"),
            ..terminal()
        };
        let forced = Environment {
            clicolor_force: on("1"),
            term: on("dumb"),
            ..Environment::default()
        };
        let dumb = Environment {
            term: on("dumb"),
            ..terminal()
        };
        let empty = Environment {
            no_color: on(""),
            force_color: on("0"),
            ..terminal()
        };
        let auto = |environment: &Environment| {
            environment.is_colored(ColorChoice::Auto, environment.stdout_is_terminal)
        };
        assert!(auto(&plain) && auto(&forced) && auto(&empty));
        assert!(!auto(&no) && !auto(&dumb) && !auto(&Environment::default()));
        assert!(no.is_colored(ColorChoice::Always, false));
        assert!(!forced.is_colored(ColorChoice::Never, true));
    }

    #[test]
    fn escape_sequences_pass_only_where_there_is_colour() {
        for (color, expected) in [
            (ColorChoice::Always, "\u{1b}[1mx\u{1b}[0m\n"),
            (ColorChoice::Never, "x\n"),
        ] {
            let buffer = Buffer::default();
            let printer = Printer::to_writers(
                &terminal(),
                color,
                Verbosity::Normal,
                Box::new(buffer.clone()),
                Box::new(io::sink()),
            );
            assert_eq!(printer.out("\u{1b}[1mx\u{1b}[0m\n").unwrap(), Written::All);
            assert_eq!(
                String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        let printer = |kind| {
            Printer::to_writers(
                &terminal(),
                ColorChoice::Never,
                Verbosity::Quiet,
                Box::new(Broken(kind)),
                Box::new(Broken(kind)),
            )
        };
        let closed = printer(io::ErrorKind::BrokenPipe);
        assert_eq!(closed.out("x").unwrap(), Written::Closed);
        assert_eq!(closed.out("x").unwrap(), Written::Closed);
        closed.err("x");
        let full = printer(io::ErrorKind::StorageFull);
        assert_eq!(full.out("x").unwrap_err().kind(), io::ErrorKind::StorageFull);
        full.err("x");
    }
}
