//! Diagnostics as text that points at the YAML.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::text::{self, Look, escape};
use crate::diagnostic::{Diagnostic, Label, Severity, Source, Sources, Span};

/// The places of one diagnostic that are drawn; the rest is counted.
const PLACES_MAX: usize = 12;
/// Lines between two places that are still drawn as one piece of the file.
const GAP_LINES_MAX: usize = 4;
/// A longer line is cut around the place.
const LINE_BYTES_MAX: usize = 400;

/// Writes diagnostics as text, each with its code, its place, the line with a caret, and what to do.
///
/// The first line of each begins with `Error: ` or `Warning: `.
pub fn diagnostics_text(diagnostics: &[Diagnostic], sources: &Sources, look: Look) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic_text(diagnostic, sources, look));
        out.push_str("\n\n");
    }
    out
}

pub(super) fn diagnostic_text(diagnostic: &Diagnostic, sources: &Sources, look: Look) -> String {
    let level = match diagnostic.severity {
        Severity::Error | Severity::Refusal => Level::ERROR.with_name("Error"),
        Severity::Warning => Level::WARNING.with_name("Warning"),
    };
    let title = format!("{} [{}]", escape(&diagnostic.message), diagnostic.code.as_str());
    let mut group = Group::with_title(level.primary_title(title));
    let (drawn, rest) = diagnostic
        .labels
        .split_at(diagnostic.labels.len().min(PLACES_MAX));
    for excerpt in excerpts(drawn, sources) {
        let snippet = Snippet::source(excerpt.text)
            .line_start(excerpt.first_line)
            .annotations(excerpt.annotations);
        group = match excerpt.origin {
            Shown::Whole { path } => group.element(snippet.path(path)),
            Shown::Cut { path, line, column } => {
                let origin = Origin::path(path).line(line).char_column(column);
                group.element(origin).element(snippet)
            }
        };
    }
    if !rest.is_empty() {
        let more = text::counted(text::len(rest), "more place", "more places");
        group = group.element(Level::NOTE.message(format!("and {more}")));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(escape(help).into_owned()));
    }
    let renderer = if look.is_colored {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let width = look
        .width
        .unwrap_or(annotate_snippets::renderer::DEFAULT_TERM_WIDTH);
    renderer.term_width(width).render(&[group])
}

/// A piece of a file with the places in it.
struct Excerpt {
    origin: Shown,
    first_line: usize,
    text: String,
    annotations: Vec<Annotation<'static>>,
}

/// How much of its lines is shown: if a line is cut, where its place stands cannot be counted from what is shown.
enum Shown {
    Whole {
        path: String,
    },
    Cut {
        path: String,
        line: usize,
        column: usize,
    },
}

/// A place, and whether it is the one to look at.
struct Place<'a> {
    label: &'a Label,
    is_main: bool,
    line: usize,
}

/// Cuts the pieces out of the files, the one with the main place first.
fn excerpts(labels: &[Label], sources: &Sources) -> Vec<Excerpt> {
    let mut by_source: BTreeMap<(bool, u32), Vec<Place<'_>>> = BTreeMap::new();
    let main_source = labels.first().map(|label| label.span.source);
    for (index, label) in labels.iter().enumerate() {
        let Some((_, start, _)) = sources.locate(label.span) else {
            continue;
        };
        let place = Place {
            label,
            is_main: index == 0,
            line: start.line,
        };
        let source = label.span.source;
        by_source
            .entry((Some(source) != main_source, source))
            .or_default()
            .push(place);
    }
    let mut excerpts: Vec<(bool, Excerpt)> = Vec::new();
    for ((_, index), mut places) in by_source {
        let Some(source) = sources.get(index) else {
            continue;
        };
        places.sort_by_key(|place| (place.line, place.label.span));
        let pieces = places.chunk_by(|a, b| b.line - a.line <= GAP_LINES_MAX);
        excerpts.extend(pieces.map(|piece| {
            let is_main = piece.iter().any(|place| place.is_main);
            (is_main, excerpt(source, piece))
        }));
    }
    excerpts.sort_by_key(|(is_main, _)| !is_main);
    excerpts.into_iter().map(|(_, excerpt)| excerpt).collect()
}

fn excerpt(source: &Source, places: &[Place<'_>]) -> Excerpt {
    let first_line = places.first().map_or(1, |place| place.line);
    let last_line = places.last().map_or(1, |place| place.line);
    let mut out = String::new();
    let mut annotations = Vec::new();
    let mut is_cut = false;
    for number in first_line..=last_line {
        let line = source.line(number);
        let here = || places.iter().filter(|place| place.line == number);
        let kept = kept(source, line.clone(), here().map(|place| place.label.span).min());
        is_cut |= kept != line;
        if kept.start > line.start {
            out.push('…');
        }
        let offset = out.len();
        out.extend(
            source
                .text
                .get(kept.clone())
                .unwrap_or_default()
                .chars()
                .map(visible),
        );
        for place in here() {
            let span = place.label.span.range();
            let at = |byte: usize| {
                let byte = source.text.floor_char_boundary(byte.clamp(kept.start, kept.end));
                offset + byte.saturating_sub(kept.start)
            };
            let kind = if place.is_main {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let annotation = kind.span(at(span.start)..at(span.end).max(at(span.start)));
            let text = escape(&place.label.text).into_owned();
            annotations.push(if text.is_empty() {
                annotation
            } else {
                annotation.label(text)
            });
        }
        if kept.end < line.end {
            out.push('…');
        }
        out.push('\n');
    }
    let path = escape(&source.path).into_owned();
    let origin = if is_cut {
        let main = places.iter().find(|place| place.is_main).or(places.first());
        let at = source.position(main.map_or(0, |place| place.label.span.range().start));
        Shown::Cut {
            path,
            line: at.line,
            column: at.column,
        }
    } else {
        Shown::Whole { path }
    };
    Excerpt {
        origin,
        first_line,
        text: out,
        annotations,
    }
}

/// The part of a line that is shown: all of it, or so much around the first place that it stays readable.
fn kept(source: &Source, line: Range<usize>, first: Option<Span>) -> Range<usize> {
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let place = first.map_or(line.start, |span| span.range().start);
    let start = place.saturating_sub(LINE_BYTES_MAX / 4).max(line.start);
    let end = (start + LINE_BYTES_MAX).min(line.end);
    source.text.floor_char_boundary(start)..source.text.floor_char_boundary(end)
}

/// A character that can be seen, of as many bytes, so that places stay where they are.
///
/// Of the control characters of ASCII, `annotate-snippets` makes pictures itself.
fn visible(c: char) -> char {
    match c.len_utf8() {
        _ if c == '\r' => ' ',
        2 if text::is_unsafe(c) => '·',
        3 if text::is_unsafe(c) => char::REPLACEMENT_CHARACTER,
        4 if text::is_unsafe(c) => '\u{10102}',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::super::fixture::{self, HOSTILE};
    use super::*;
    use crate::diagnostic::Code;

    const PLAIN: Look = Look {
        is_colored: false,
        width: None,
    };

    #[test]
    fn a_diagnostic_points_at_the_line() {
        let (sources, diagnostics) = fixture::mistakes();
        assert_snapshot!(diagnostics_text(&diagnostics, &sources, PLAIN));
    }

    #[test]
    fn colour_adds_only_escape_sequences() {
        let (sources, diagnostics) = fixture::mistakes();
        let colored = diagnostics_text(
            &diagnostics,
            &sources,
            Look {
                is_colored: true,
                width: None,
            },
        );
        assert!(colored.contains('\u{1b}'));
        let stripped = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(stripped, diagnostics_text(&diagnostics, &sources, PLAIN));
    }

    #[test]
    fn a_conflict_shows_both_files() {
        let mut sources = Sources::default();
        let one = sources.add("plans/a.yaml", "rules:\n- to: stable\n");
        let other = sources.add("plans/b.yaml", "# a comment\nrules:\n- to: stable\n");
        let diagnostic =
            Diagnostic::error(Code::TargetConflict, "`stable` is wanted on two different images")
                .at(
                    Span {
                        source: one,
                        start: 13,
                        end: 19,
                    },
                    "rule `a` wants sha256:aaaaaaaaaaaa",
                )
                .at(
                    Span {
                        source: other,
                        start: 25,
                        end: 31,
                    },
                    "rule `b` wants sha256:bbbbbbbbbbbb",
                )
                .help("take the tag out of one of the rules");
        assert_snapshot!(diagnostics_text(&[diagnostic], &sources, PLAIN));
    }

    #[test]
    fn places_far_apart_in_one_file_are_two_pieces() {
        let mut sources = Sources::default();
        let text = format!("first\n{}last\n", "between\n".repeat(50));
        let end = u32::try_from(text.len()).unwrap();
        let source = sources.add("-", text);
        let diagnostic = Diagnostic::error(Code::DuplicateRule, "twice")
            .at(
                Span {
                    source,
                    start: end - 5,
                    end: end - 1,
                },
                "again",
            )
            .at(
                Span {
                    source,
                    start: 0,
                    end: 5,
                },
                "first here",
            );
        assert_snapshot!(diagnostics_text(&[diagnostic], &sources, PLAIN));
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_place() {
        let mut sources = Sources::default();
        let text = format!(
            "rules: [{}oops, {}]\n",
            "\"ä\", ".repeat(200_000),
            "x, ".repeat(200_000)
        );
        let start = u32::try_from(text.find("oops").unwrap()).unwrap();
        let source = sources.add("plans/long.yaml", text);
        let diagnostic = Diagnostic::error(Code::BadGlob, "bad").at(
            Span {
                source,
                start,
                end: start + 4,
            },
            "here",
        );
        let text = diagnostics_text(
            &[diagnostic],
            &sources,
            Look {
                is_colored: false,
                width: Some(80),
            },
        );
        assert!(text.contains("plans/long.yaml:1:1000009"), "{text}");
        assert!(text.contains("oops") && text.contains("^^^^ here"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 90), "{text}");
    }

    #[test]
    fn many_places_are_counted() {
        let mut sources = Sources::default();
        let source = sources.add("a.yaml", "x\n".repeat(100));
        let mut diagnostic = Diagnostic::warning(Code::LeftUntagged, "many");
        for n in 0..100 {
            diagnostic = diagnostic.at(
                Span {
                    source,
                    start: n * 2,
                    end: n * 2 + 1,
                },
                "",
            );
        }
        let text = diagnostics_text(&[diagnostic], &sources, PLAIN);
        assert!(text.contains("and 88 more places"), "{text}");
    }

    #[test]
    fn nothing_hostile_is_drawn() {
        let mut sources = Sources::default();
        let source = sources.add(HOSTILE, format!("a: b\r\nto: {HOSTILE}\n"));
        let diagnostic = Diagnostic::error(Code::InvalidTag, HOSTILE)
            .at(
                Span {
                    source,
                    start: 6,
                    end: 8,
                },
                HOSTILE,
            )
            .help(HOSTILE);
        let text = diagnostics_text(&[diagnostic], &sources, PLAIN);
        assert!(
            !text.contains(|c: char| text::is_unsafe(c) && c != '\n'),
            "{text:?}"
        );
        assert_eq!(text.matches("\nError: ").count(), 0, "{text}");
    }

    proptest! {
        #[test]
        fn any_text_and_any_span_can_be_drawn(
            text in "(?s).{0,200}",
            spans in prop::collection::vec((0..3_u32, 0..300_u32, 0..300_u32), 0..5),
            is_colored: bool,
            width in prop::option::of(1_usize..200),
        ) {
            let mut sources = Sources::default();
            sources.add("a.yaml", text.clone());
            sources.add("b.yaml", text.replace('a', "\n"));
            let mut diagnostic = Diagnostic::warning(Code::InvalidYaml, text.as_str());
            for (source, start, end) in spans {
                diagnostic = diagnostic.at(Span { source, start, end }, text.as_str());
            }
            let drawn = diagnostics_text(&[diagnostic], &sources, Look { is_colored, width });
            let drawn = if is_colored { anstream::adapter::strip_str(&drawn).to_string() } else { drawn };
            prop_assert!(!drawn.contains(|c: char| text::is_unsafe(c) && c != '\n'), "{drawn:?}");
        }
    }
}
