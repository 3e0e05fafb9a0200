//! What GitHub Actions reads: annotations in the log, and the file of a step's outputs.

use super::text::escape;
use crate::changeset::Counts;
use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::model::Digest;

/// GitHub shows ten of each kind for a step; more are noise.
const ANNOTATIONS_MAX: usize = 10;

/// The outputs of a step.
#[derive(Debug, Clone, Copy)]
pub struct GithubOutputs<'a> {
    /// How many changes are planned; absent if planning did not get that far.
    pub counts: Option<Counts>,
    /// The digest of the plan.
    pub plan_digest: Option<&'a Digest>,
    /// Where the changeset was saved.
    pub changeset_path: Option<&'a str>,
    /// Why the step failed, in a word or a line; absent if it did not.
    pub failure_reason: Option<&'a str>,
}

impl GithubOutputs<'_> {
    /// The lines for the file that `GITHUB_OUTPUT` names. Every output is there; what is unknown is empty.
    pub fn to_text(&self) -> String {
        let counts = self.counts;
        let number = |of: fn(Counts) -> u64| counts.map(|counts| of(counts).to_string()).unwrap_or_default();
        let outputs = [
            (
                "changes",
                counts
                    .map(|counts| (counts.total() > 0).to_string())
                    .unwrap_or_default(),
            ),
            ("to_add", number(|counts| counts.creates)),
            ("to_change", number(|counts| counts.moves)),
            ("to_destroy", number(|counts| counts.removes)),
            (
                "plan_digest",
                self.plan_digest.map(Digest::to_string).unwrap_or_default(),
            ),
            (
                "changeset_path",
                escape(self.changeset_path.unwrap_or_default()).into_owned(),
            ),
            (
                "failure_reason",
                escape(self.failure_reason.unwrap_or_default()).into_owned(),
            ),
        ];
        // An escaped value is one line, so that the simple form is enough and none can add an output of its own.
        outputs
            .iter()
            .map(|(name, value)| [*name, "=", value, "\n"].concat())
            .collect()
    }
}

/// Annotations for the diagnostics, errors first: `::error file=…,line=…,col=…,title=…::message`.
pub fn github_annotations(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| diagnostic.severity == Severity::Warning);
    let mut lines: Vec<String> = sorted
        .iter()
        .take(ANNOTATIONS_MAX)
        .map(|diagnostic| annotation(diagnostic, sources))
        .collect();
    lines.push(String::new());
    lines.join("\n")
}

/// An annotation for an error about the world.
pub fn github_error(message: &str, help: Option<&str>) -> String {
    command("error", &[("title", "ecr-retag".to_owned())], message, help) + "\n"
}

fn annotation(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut properties = Vec::new();
    let place = diagnostic
        .labels
        .first()
        .and_then(|label| sources.locate(label.span));
    if let Some((source, start, end)) = place {
        properties.push(("file", source.path.clone()));
        properties.push(("line", start.line.to_string()));
        if end.line == start.line {
            properties.push(("col", start.column.to_string()));
            properties.push(("endColumn", end.column.to_string()));
        } else {
            properties.push(("endLine", end.line.to_string()));
        }
    }
    properties.push(("title", diagnostic.code.as_str().to_owned()));
    command(
        diagnostic.severity.as_str(),
        &properties,
        &diagnostic.message,
        diagnostic.help.as_deref(),
    )
}

fn command(name: &str, properties: &[(&str, String)], message: &str, help: Option<&str>) -> String {
    let properties: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name}={}", property(value)))
        .collect();
    let help = help
        .map(|help| format!("%0Ahelp: {}", data(help)))
        .unwrap_or_default();
    format!("::{name} {}::{}{help}", properties.join(","), data(message))
}

/// A message as the runner reads it back; it is one line already.
fn data(text: &str) -> String {
    escape(text).replace('%', "%25")
}

/// A property as the runner reads it back.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::fixture::{self, HOSTILE};
    use super::super::text::is_unsafe;
    use super::*;
    use crate::diagnostic::{Code, Span};

    #[test]
    fn annotations_point_at_the_line_errors_first() {
        let (sources, mut diagnostics) = fixture::mistakes();
        diagnostics.reverse();
        assert_snapshot!(github_annotations(&diagnostics, &sources), @r"
        ::error file=plans/cut.yaml,line=7,col=11,endColumn=18,title=plan/duplicate-rule::two rules are named `promote`
        ::error file=plans/cut.yaml,line=5,col=5,endColumn=9,title=plan/unknown-key::unknown key `form`%0Ahelp: did you mean `from`?
        ::warning title=plan/unused-variable::the variable `version` is not used
        ");
    }

    #[test]
    fn there_are_ten_at_most_and_each_is_one_line() {
        let mut sources = Sources::default();
        let source = sources.add(HOSTILE, HOSTILE);
        let hostile = Diagnostic::error(Code::InvalidTag, HOSTILE)
            .at(
                Span {
                    source,
                    start: 0,
                    end: 3,
                },
                HOSTILE,
            )
            .help(HOSTILE);
        let text = github_annotations(&vec![hostile; 30], &sources) + &github_error(HOSTILE, Some(HOSTILE));
        assert_eq!(text.lines().count(), 11);
        assert!(text.lines().all(|line| line.starts_with("::error ")), "{text}");
        assert!(!text.contains(|c: char| is_unsafe(c) && c != '\n'));
        assert!(text.contains("%250A::error::x"), "{text}");
        let file = text.split("file=").nth(1).unwrap().split(',').next().unwrap();
        assert!(!file.contains(':'), "{file}");
    }

    #[test]
    fn outputs_are_lines_of_their_own() {
        let changeset = fixture::cutover();
        let digest = fixture::digest("plan");
        let outputs = GithubOutputs {
            counts: Some(Counts::of(&changeset.changes)),
            plan_digest: Some(&digest),
            changeset_path: Some("out/changeset.json"),
            failure_reason: Some("refused\nto_add=9"),
        };
        assert_snapshot!(outputs.to_text(), @r"
        changes=true
        to_add=1
        to_change=1
        to_destroy=1
        plan_digest=sha256:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525
        changeset_path=out/changeset.json
        failure_reason=refused\nto_add=9
        ");
        let unknown = GithubOutputs {
            counts: None,
            plan_digest: None,
            changeset_path: None,
            failure_reason: None,
        };
        assert!(unknown.to_text().starts_with("changes=\nto_add=\n"));
    }
}
