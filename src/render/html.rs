//! A changeset as one page of HTML: to be attached to a run and opened anywhere, without a network.
//!
//! The counts stand in the page; the changes are in it as JSON, and the page's script makes rows of those in sight.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::diagnostic::diagnostics_text;
use super::grouping::Kind;
use super::markdown::PageView;
use super::summary::{facts_line, place, plan_line};
use super::text::{Look, escape, escape_json, push};
use crate::changeset::{Changeset, Counts};
use crate::diagnostic::Sources;
use crate::model::RegistryKey;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Writes a changeset as one self-contained page.
pub fn changeset_html(changeset: &Changeset, sources: &Sources, view: &PageView<'_>) -> String {
    let name = changeset.name.as_deref().map(shown);
    let title = match &name {
        Some(name) => format!("{name} - ecr-retag plan"),
        None => "ecr-retag plan".to_owned(),
    };
    let Counts {
        creates,
        moves,
        removes,
    } = Counts::of(&changeset.changes);
    fill(PAGE, |marker| match marker {
        "title" => title.clone(),
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "name" => name
            .as_deref()
            .map(|name| format!(" <code>{name}</code>"))
            .unwrap_or_default(),
        "state" => if changeset.is_errored() { "errored" } else { "" }.to_owned(),
        "plan" => plan_line(changeset),
        "creates" => creates.to_string(),
        "moves" => moves.to_string(),
        "removes" => removes.to_string(),
        "unchanged" => changeset.unchanged_count.to_string(),
        "skipped" => changeset.skipped.len().to_string(),
        "facts" => facts_line(changeset, view.puts_per_second),
        "properties" => properties(changeset, view),
        "diagnostics" => diagnostics(changeset, sources),
        "data" => embedded(&data(changeset)),
        _ => String::new(),
    })
}

/// Puts texts in the place of the markers; what is put in is not looked at again.
fn fill(template: &str, text: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, marked)) = rest.split_once("{{") {
        let (marker, after) = marked.split_once("}}").unwrap_or((marked, ""));
        out.push_str(before);
        out.push_str(&text(marker));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A text from outside as text of the page.
fn shown(text: &str) -> String {
    markup(&escape(text)).into_owned()
}

/// Takes from a text what means something in HTML.
fn markup(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// What else there is to know of the plan, as rows of a list.
fn properties(changeset: &Changeset, view: &PageView<'_>) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        let (name, value) = (shown(name), shown(value));
        push(
            &mut out,
            format_args!(
                "<dt>{name}</dt><dd><code>{value}</code></dd>
"
            ),
        );
    };
    for registry in &changeset.registries {
        if changeset.is_qualified() {
            row(&format!("Registry {}", registry.key), &place(registry));
        } else {
            row("Registry", &place(registry));
        }
    }
    for source in &changeset.sources {
        row("Plan file", &source.path);
    }
    for (name, value) in &changeset.variables {
        row(&format!("Variable {name}"), value);
    }
    if let Some(created_at) = changeset.created_at {
        row("Planned at", &format!("{created_at:.0}"));
    }
    if let Some(digest) = view.plan_digest {
        row("Plan digest", &digest.to_string());
    }
    out
}

fn diagnostics(changeset: &Changeset, sources: &Sources) -> String {
    if changeset.diagnostics.is_empty() {
        return String::new();
    }
    let text = diagnostics_text(&changeset.diagnostics, sources, Look::default());
    let count = changeset.diagnostics.len();
    format!(
        "<details open><summary>Warnings and errors: {count}</summary><pre>{}</pre></details>",
        markup(text.trim_end())
    )
}

/// JSON that stands in a script: it can neither end it nor begin another.
fn embedded(data: &Value) -> String {
    let json = data.to_string();
    escape_json(&json)
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// What the page's script reads. Rows are lists, and rules and registries numbers: ten thousand changes add up.
fn data(changeset: &Changeset) -> Value {
    let is_qualified = changeset.is_qualified();
    let registries: Vec<&RegistryKey> = changeset
        .registries
        .iter()
        .map(|registry| &registry.key)
        .collect();
    let rules: BTreeSet<String> = changeset
        .changes
        .iter()
        .map(|change| rule_text(&change.rules))
        .collect();
    let rule_index: BTreeMap<&str, usize> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| (rule.as_str(), index))
        .collect();
    let changes: Vec<Value> = changeset
        .changes
        .iter()
        .map(|change| {
            json!([
                registries
                    .iter()
                    .position(|key| **key == change.address.registry)
                    .unwrap_or_default(),
                change.address.repository,
                change.address.tag,
                Kind::of(change.action) as u8,
                change.action.before(),
                change.action.after(),
                escape(&change.reason.to_string()),
                rule_index.get(rule_text(&change.rules).as_str()),
                change.stage,
                change.is_reversible,
            ])
        })
        .collect();
    let skipped: Vec<Value> = changeset
        .skipped
        .iter()
        .map(|skipped| {
            json!([
                skipped.address.to_text(is_qualified),
                escape(&skipped.why.to_string())
            ])
        })
        .collect();
    let unchanged: Vec<Value> = changeset
        .unchanged
        .iter()
        .map(|unchanged| {
            let on = unchanged
                .digest
                .map_or_else(|| "already gone".to_owned(), |digest| digest.to_string());
            json!([unchanged.address.to_text(is_qualified), on])
        })
        .collect();
    json!({
        "registries": registries,
        "rules": rules,
        "changes": changes,
        "skipped": skipped,
        "unchanged": unchanged,
    })
}

fn rule_text(rules: &[String]) -> String {
    escape(&rules.join(", ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, HOSTILE};
    use super::super::text::is_unsafe;
    use super::*;
    use crate::changeset::{Reason, SkipReason};
    use crate::diagnostic::{Code, Diagnostic};

    const VIEW: PageView<'static> = PageView {
        plan_digest: None,
        puts_per_second: 10.0,
    };

    /// The JSON in a page.
    fn embedded_data(page: &str) -> Value {
        let (_, after) = page
            .split_once("<script type=\"application/json\" id=\"data\">")
            .unwrap();
        let (json, _) = after.split_once("</script>").unwrap();
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_page_holds_every_change() {
        let digest = fixture::digest("plan");
        let view = PageView {
            plan_digest: Some(&digest),
            ..VIEW
        };
        let page = changeset_html(&fixture::two_regions(), &Sources::default(), &view);
        let data = embedded_data(&page);
        assert_eq!(data["registries"], json!(["eu", "us"]));
        assert_eq!(data["changes"].as_array().unwrap().len(), 3);
        assert_eq!(data["changes"][1][2], "stable");
        for part in [
            "Plan: 2 to add, 1 to change, 0 to destroy.",
            "123456789012/us-east-1",
            &digest.to_string(),
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("{{"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = changeset_html(&fixture::large(3), &Sources::default(), &VIEW);
        for reference in ["http:", "https:", " src=", "@import", "url(", "fetch(", "import("] {
            assert!(!page.contains(reference), "{reference}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let hostile = format!("{HOSTILE}</script><img onerror=x>{{{{data}}}}");
        let mut changeset = fixture::cutover();
        changeset.name = Some(hostile.clone());
        changeset.variables.insert(hostile.clone(), hostile.clone());
        changeset
            .skipped
            .push(fixture::skipped("shop/api:a", SkipReason::Kept));
        changeset.diagnostics =
            vec![Diagnostic::warning(Code::BadGlob, hostile.clone()).help(hostile.clone())];
        for change in &mut changeset.changes {
            change.reason = Reason::Saved(hostile.clone());
            change.rules = vec![hostile.clone()];
        }
        let page = changeset_html(&changeset, &Sources::default(), &VIEW);
        assert!(!page.contains("<img") && !page.contains("|<script>"), "{page}");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains(|c: char| is_unsafe(c) && c != '\n'));
        assert_eq!(embedded_data(&page)["rules"], json!([escape(&hostile)]));
    }
}
