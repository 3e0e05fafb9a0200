//! Input that nobody should have written: it is refused quickly, and nothing panics.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ecr_retag::diagnostic::Code;
use proptest::prelude::*;

use crate::support::load;

/// Loads a text, and holds it to what one megabyte may cost; a debug build is given more time.
fn load_in_time(name: &str, text: &str) -> Vec<Code> {
    const ALLOWED: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
    #[expect(clippy::disallowed_methods, reason = "it is real time that is measured")]
    let begun = Instant::now();
    let loaded = load(&[text]);
    let taken = begun.elapsed();
    assert!(taken < ALLOWED, "{name} took {taken:?} for {} bytes", text.len());
    for found in &loaded.diagnostics {
        assert!(
            !found.message.contains(char::is_control),
            "{name}: {:?}",
            found.message
        );
        for label in &found.labels {
            let (source, _, _) = loaded.sources.locate(label.span).expect("a place in a file");
            assert!(source.text.get(label.span.range()).is_some(), "{name}: {found:?}");
        }
    }
    loaded.diagnostics.into_iter().map(|found| found.code).collect()
}

/// A plan file of about a megabyte, a line after another; less in a debug build, to spare time.
fn megabyte(head: &str, line: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for number in 0.. {
        text.push_str(&line(number));
        if text.len()
            >= if cfg!(debug_assertions) {
                100_000
            } else {
                1_000_000
            }
        {
            break;
        }
    }
    text
}

#[test]
fn a_megabyte_is_checked_in_time() {
    let rules = "version: 1\nrules:\n";
    let one = "version: 1\nrules:\n- { name: a, repositories: ab, from: a, to: b, ";
    for (name, text) in [
        ("empty rules", megabyte(rules, |_| "- {}\n".into())),
        (
            "rules",
            megabyte(rules, |n| {
                format!("- {{ name: r{n}, repositories: ab, from: a, to: b }}\n")
            }),
        ),
        (
            "rules with globs",
            megabyte(rules, |n| {
                format!("- {{ name: r{n}, repositories: 'a*', from: 'b*', to: c }}\n")
            }),
        ),
        (
            "rules with regexes",
            megabyte(rules, |n| {
                format!("- {{ name: r{n}, repositories: ab, from: {{ regex: a{n} }}, to: b }}\n")
            }),
        ),
        (
            "rules with templates",
            megabyte(rules, |n| {
                format!("- {{ name: r{n}, repositories: ab, from: a, to: '${{tag|lower}}' }}\n")
            }),
        ),
        (
            "rules of one name",
            megabyte(rules, |_| {
                "- { name: a, repositories: ab, from: a, to: b }\n".into()
            }),
        ),
        (
            "regexes",
            megabyte(rules, |n| {
                if n == 0 {
                    "- name: a\n  repositories: ab\n  to: b\n  from:\n".into()
                } else {
                    format!("  - regex: (a{n})\n")
                }
            }),
        ),
        (
            "large regexes",
            megabyte(rules, |n| {
                if n == 0 {
                    "- name: a\n  repositories: ab\n  to: b\n  from:\n".into()
                } else {
                    "  - regex: ((a{90}){9}){9}\n".into()
                }
            }),
        ),
        (
            "globs",
            megabyte(rules, |n| {
                if n == 0 {
                    "- name: a\n  repositories: ab\n  to: b\n  from:\n".into()
                } else {
                    format!("  - '{{a,b}}{n}*'\n")
                }
            }),
        ),
        (
            "excludes",
            megabyte(rules, |n| {
                if n == 0 {
                    "- name: a\n  repositories: ab\n  to: b\n  from:\n    glob: '*'\n    exclude:\n".into()
                } else {
                    "    - a*\n".into()
                }
            }),
        ),
        (
            "targets",
            megabyte(rules, |n| {
                if n == 0 {
                    "- name: a\n  repositories: ab\n  from: a\n  to:\n".into()
                } else {
                    "  - ${tag}\n".into()
                }
            }),
        ),
        (
            "expressions",
            megabyte(rules, |n| {
                if n == 0 {
                    "- name: a\n  repositories: ab\n  from: a\n  to:\n".into()
                } else {
                    "  - ${tag|upper}\n".into()
                }
            }),
        ),
        ("unknown keys", megabyte("version: 1\n", |n| format!("k{n}: x\n"))),
        ("one key", megabyte("version: 1\n", |_| "a: x\n".into())),
        (
            "variables",
            megabyte("version: 1\nvars:\n", |n| format!("  v{n}: x\n")),
        ),
        (
            "a row",
            megabyte(
                &format!("{rules}- name: a\n  repositories: ab\n  map:\n    a:\n"),
                |n| format!("    - t{n}\n"),
            ),
        ),
        (
            "rows",
            megabyte(&format!("{rules}- name: a\n  repositories: ab\n  map:\n"), |n| {
                format!("    t{n}: u\n")
            }),
        ),
        (
            "backups",
            megabyte(&format!("{one}backup: {{ "), |n| format!("b{n}: c,\n")) + "} }\n",
        ),
        (
            "protected",
            megabyte("version: 1\npolicy: { protect: [", |_| "'a*',\n".into()) + "] }\n",
        ),
        ("one long key", format!("version: 1\n{}: x\n", "k".repeat(1_000))),
        (
            "one long text",
            format!("version: 1\nname: {}\n", "k".repeat(1_000_000)),
        ),
        (
            "one long glob",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: '{}', to: b }}\n",
                "*a".repeat(500_000)
            ),
        ),
        (
            "one long regex",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: {{ regex: '{}' }}, to: b }}\n",
                "(a*)*".repeat(200_000)
            ),
        ),
        (
            "a deep regex",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: {{ regex: '{}' }}, to: b }}\n",
                "(".repeat(500_000)
            ),
        ),
        (
            "one long template",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: a, to: '{}' }}\n",
                "${tag}".repeat(160_000)
            ),
        ),
        (
            "one long expression",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: a, to: '${{tag{}}}' }}\n",
                "|lower".repeat(160_000)
            ),
        ),
        (
            "a deep expression",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: a, to: '${{{}tag}}' }}\n",
                "(".repeat(900)
            ),
        ),
        (
            "open braces",
            format!(
                "{rules}- {{ name: a, repositories: ab, from: a, to: '{}' }}\n",
                "${".repeat(500_000)
            ),
        ),
        (
            "deep lists",
            format!("version: 1\nname: {}\n", "[".repeat(1_000_000)),
        ),
        (
            "deep mappings",
            format!("version: 1\nname: {}\n", "{a: ".repeat(250_000)),
        ),
        (
            "anchors",
            megabyte("version: 1\n", |n| format!("k{n}: &a{n} x\n")),
        ),
        (
            "aliases",
            megabyte("version: 1\na: &a [x, x, x, x]\n", |n| format!("k{n}: *a\n")),
        ),
        (
            "control characters",
            format!(
                "version: 1\n\"{}\": \"\\e]0;x\\a\\u202e\"\n",
                "\\e[31m".repeat(20)
            ),
        ),
    ] {
        load_in_time(name, &text);
    }
}

#[test]
fn as_much_as_is_allowed_is_checked_in_time() {
    let lines = |head: &str, line: &dyn Fn(usize) -> String| {
        let lines: Vec<String> = (0..10_000).map(line).collect();
        format!("version: 1\nrules:\n{head}{}", lines.concat())
    };
    let from = "- name: a\n  repositories: ab\n  to: b\n  from:\n";
    let to = "- name: a\n  repositories: ab\n  from: '*'\n  to:\n";
    for (name, expected, text) in [
        (
            "regexes",
            Some(Code::TooMany),
            lines(from, &|n| format!("  - regex: (a{n})\n")),
        ),
        (
            "large regexes",
            Some(Code::TooMany),
            lines(from, &|n| format!("  - regex: (a{{90}}b{{9}}){{9}}{n}\n")),
        ),
        (
            "one regex",
            None,
            lines(from, &|_| "  - regex: (a{90}b{9}){9}\n".into()),
        ),
        ("globs", None, lines(from, &|n| format!("  - '{{a,b}}{n}*'\n"))),
        (
            "expressions",
            Some(Code::TooMany),
            lines(to, &|n| format!("  - a${{tag|default({n})}}\n")),
        ),
        (
            "one expression",
            None,
            lines(to, &|_| "  - a${tag|lower}\n".into()),
        ),
        (
            "rules",
            None,
            lines("", &|n| {
                format!("- {{ name: r{n}, repositories: 'a*', from: 'b*', to: '${{tag}}-c' }}\n")
            }),
        ),
    ] {
        assert_eq!(load_in_time(name, &text).last().copied(), expected, "{name}");
    }
}

#[test]
fn ten_thousand_problems_are_not_all_listed() {
    let text = format!("version: 1\nrules:\n{}", "- {}\n".repeat(10_000));
    let codes = load_in_time("empty rules", &text);
    assert_eq!(codes.len(), 1_001);
    assert_eq!(codes.last(), Some(&Code::TooManyProblems));
}

#[test]
fn a_map_of_ten_thousand_rows_is_checked_in_well_under_a_second() {
    let mut text = String::from("version: 1\nrules:\n- name: a\n  repositories: ab\n  map:\n");
    for number in 0..10_000 {
        text.push_str(&format!("    release-{number}: v{number}.0.0\n"));
    }
    assert_eq!(load_in_time("ten thousand rows", &text), []);
}

fn real_plans() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut plans = Vec::new();
    for folder in [folder.join("ok"), folder.join("bad")] {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let yaml = paths
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        plans.extend(
            yaml.map(|path| fs::read_to_string(path).unwrap())
                .filter(|text| text.len() < 10_000),
        );
    }
    plans
}

/// What is put into a plan file in place of a part of it.
const PIECES: &[&str] = &[
    "",
    "\n",
    " ",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    "\"",
    "#",
    "&a ",
    "*a",
    "!",
    "!!str ",
    "|",
    ">",
    "---\n",
    "\t",
    "\u{feff}",
    "é",
    "\u{0}",
    "\u{1b}",
    "${",
    "}",
    "${tag}",
    "${v | lower}",
    "$${",
    "*",
    "**",
    "[a",
    "{a,",
    "(",
    ")*",
    "(?<a>",
    "\\",
    "1.10",
    "0x10",
    "null",
    "~",
    "no",
    "-1",
    "1e999",
    "18446744073709551616",
    ">=1",
    "30d",
    "sha256:",
    "absent",
    "version: 1",
    "rules:",
    "from:",
    "map:",
    "<<: *a",
    "? ",
    "%YAML 1.1\n",
    "...\n",
    "@",
    "`",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 3_000 }))]

    #[test]
    fn a_plan_file_that_is_changed_at_random_never_panics(
        plan in prop::sample::select(real_plans()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(PIECES)), 1..8),
    ) {
        let mut chars: Vec<char> = plan.chars().collect();
        for (at, len, piece) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + len).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        let text: String = chars.into_iter().collect();
        load_in_time("a changed plan", &text);
    }
}
