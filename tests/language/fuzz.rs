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

/// A line of a plan file, by its number.
type Line = fn(usize) -> String;

/// What a megabyte may consist of: its name, how the file begins, and its lines by their number.
const LINES: &[(&str, &str, Line)] = &[
    ("empty rules", RULES, |_| "- {}\n".into()),
    ("rules", RULES, |n| {
        format!("- {{ name: r{n}, repositories: ab, from: a, to: b }}\n")
    }),
    ("rules of one name", RULES, |_| {
        "- { name: a, repositories: ab, from: a, to: b }\n".into()
    }),
    ("regexes", FROM, |n| format!("  - regex: (a{n})\n")),
    ("large regexes", FROM, |_| "  - regex: ((a{90}){9}){9}\n".into()),
    ("globs", FROM, |n| format!("  - '{{a,b}}{n}*'\n")),
    ("targets", TO, |_| "  - ${tag}\n".into()),
    ("expressions", TO, |_| "  - ${tag|upper}\n".into()),
    ("rows of one source", ONE_ROW, |n| format!("    - t{n}\n")),
    ("rows", ROWS, |n| format!("    t{n}: u\n")),
    ("backups", BACKUPS, |n| format!("    b{n}: c\n")),
    ("unknown keys", "version: 1\n", |n| format!("k{n}: x\n")),
    ("one key", "version: 1\n", |_| "a: x\n".into()),
    ("variables", "version: 1\nvars:\n", |n| format!("  v{n}: x\n")),
    ("protected", "version: 1\npolicy:\n  protect:\n", |_| {
        "  - 'a*'\n".into()
    }),
    ("anchors", "version: 1\n", |n| format!("k{n}: &a{n} x\n")),
    ("aliases", "version: 1\na: &a [x, x, x, x]\n", |n| {
        format!("k{n}: *a\n")
    }),
];

const RULES: &str = "version: 1\nrules:\n";
const FROM: &str = "version: 1\nrules:\n- name: a\n  repositories: ab\n  to: b\n  from:\n";
const TO: &str = "version: 1\nrules:\n- name: a\n  repositories: ab\n  from: '*'\n  to:\n";
const ROWS: &str = "version: 1\nrules:\n- name: a\n  repositories: ab\n  map:\n";
const ONE_ROW: &str = "version: 1\nrules:\n- name: a\n  repositories: ab\n  map:\n    a:\n";
const BACKUPS: &str = "version: 1\nrules:\n- name: a\n  repositories: ab\n  from: a\n  to: b\n  backup:\n";

#[test]
fn a_megabyte_of_lines_is_checked_in_time() {
    for (name, head, line) in LINES {
        load_in_time(name, &megabyte(head, line));
    }
}

#[test]
fn a_megabyte_in_one_place_is_checked_in_time() {
    let rule = |keys: String| format!("{RULES}- {{ name: a, repositories: ab, {keys} }}\n");
    let name = |text: String| format!("version: 1\nname: {text}\n");
    for (name, text) in [
        ("a text", name("k".repeat(1_000_000))),
        ("lists", name("[".repeat(1_000_000))),
        ("mappings", name("{a: ".repeat(250_000))),
        ("a key", format!("version: 1\n? {}\n: x\n", "k".repeat(1_000_000))),
        ("a glob", rule(format!("from: '{}', to: b", "*a".repeat(500_000)))),
        (
            "a regex",
            rule(format!("from: {{ regex: '{}' }}, to: b", "(a*)*".repeat(200_000))),
        ),
        (
            "a deep regex",
            rule(format!("from: {{ regex: '{}' }}, to: b", "(".repeat(3_900))),
        ),
        (
            "a template",
            rule(format!("from: a, to: '{}'", "${tag}".repeat(160_000))),
        ),
        (
            "open braces",
            rule(format!("from: a, to: '{}'", "${".repeat(500_000))),
        ),
        (
            "an expression",
            rule(format!("from: a, to: '${{tag{}}}'", "|lower".repeat(160_000))),
        ),
        (
            "a deep expression",
            rule(format!("from: a, to: '${{{}tag}}'", "(".repeat(900))),
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
    let cases: [(&str, &str, Line, Option<Code>); 7] = [
        (
            "regexes",
            FROM,
            |n| format!("  - regex: (a{n})\n"),
            Some(Code::TooMany),
        ),
        (
            "large regexes",
            FROM,
            |n| format!("  - regex: (a{{90}}b{{9}}){{9}}{n}\n"),
            Some(Code::TooMany),
        ),
        ("one regex", FROM, |_| "  - regex: (a{90}b{9}){9}\n".into(), None),
        ("globs", FROM, |n| format!("  - '{{a,b}}{n}*'\n"), None),
        (
            "expressions",
            TO,
            |n| format!("  - a${{tag|default({n})}}\n"),
            Some(Code::TooMany),
        ),
        ("one expression", TO, |_| "  - a${tag|lower}\n".into(), None),
        (
            "rules",
            RULES,
            |n| format!("- {{ name: r{n}, repositories: 'a*', from: 'b*', to: '${{tag}}-c' }}\n"),
            None,
        ),
    ];
    for (name, head, line, expected) in cases {
        let text = (0..10_000).fold(head.to_owned(), |text, number| text + &line(number));
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
    let row = |text: String, number: u32| text + &format!("    release-{number}: v{number}.0.0\n");
    let text = (0..10_000).fold(ROWS.to_owned(), row);
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
