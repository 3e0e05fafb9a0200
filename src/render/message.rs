//! Errors and warnings about the world: a file, a registry, a command line.

use std::error::Error;

use super::text::{self, Look, escape, push};

/// Writes an error with its causes and what to do: `Error: …`, then indented lines.
pub fn error_text(error: &dyn Error, help: Option<&str>, look: Look) -> String {
    let mut out = String::new();
    let message = error.to_string();
    push(
        &mut out,
        format_args!("{} {}\n", look.paint(text::ERROR, "Error:"), escape(&message)),
    );
    let mut said = message;
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Many errors repeat their cause in their own text.
        if !said.contains(&message) {
            push(&mut out, format_args!("  caused by: {}\n", escape(&message)));
            said = message;
        }
        cause = error.source();
    }
    push_help(&mut out, help);
    out
}

/// Writes a warning and what to do: `Warning: …`, then an indented line.
pub fn warning_text(message: &str, help: Option<&str>, look: Look) -> String {
    let mut out = String::new();
    push(
        &mut out,
        format_args!("{} {}\n", look.paint(text::WARNING, "Warning:"), escape(message)),
    );
    push_help(&mut out, help);
    out
}

/// What to do, indented.
pub(super) fn push_help(out: &mut String, help: Option<&str>) {
    if let Some(help) = help {
        push(out, format_args!("  help: {}\n", escape(help)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::HOSTILE;
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `plans/cut.yaml`")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_names_its_causes_and_stays_on_its_lines() {
        let plain = Look::default();
        let error = Outer(std::io::Error::other("no such file"));
        assert_eq!(
            error_text(&error, Some("check the path"), plain),
            "Error: cannot read `plans/cut.yaml`\n  caused by: no such file\n  help: check the path\n"
        );
        let hostile = Outer(std::io::Error::other(HOSTILE));
        let text = error_text(&hostile, Some(HOSTILE), plain) + &warning_text(HOSTILE, None, plain);
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains(|c: char| text::is_unsafe(c) && c != '\n'));
    }
}
