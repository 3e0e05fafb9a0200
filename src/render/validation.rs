//! What is wrong with a plan file, as JSON: what `validate --json` prints.

use serde::Serialize;

use super::text::{escape_json, len};
use crate::changeset::file::{DiagnosticRecord, FORMAT_VERSION};
use crate::diagnostic::{Diagnostic, Severity, Sources};

/// The members are those of `terraform validate -json`.
#[derive(Serialize)]
struct Validation {
    format_version: &'static str,
    valid: bool,
    error_count: u64,
    warning_count: u64,
    diagnostics: Vec<DiagnosticRecord>,
}

/// Writes diagnostics as one JSON object, with whether the plan is valid.
pub fn validation_json(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let (warnings, errors): (Vec<&Diagnostic>, Vec<&Diagnostic>) = diagnostics
        .iter()
        .partition(|diagnostic| diagnostic.severity == Severity::Warning);
    let validation = Validation {
        format_version: FORMAT_VERSION,
        valid: errors.is_empty(),
        error_count: len(&errors),
        warning_count: len(&warnings),
        diagnostics: diagnostics
            .iter()
            .map(|diagnostic| DiagnosticRecord::new(diagnostic, sources))
            .collect(),
    };
    // All members are text and numbers.
    let json = serde_json::to_string_pretty(&validation).unwrap_or_default();
    format!("{}\n", escape_json(&json))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn what_is_wrong_is_counted_and_listed() {
        let (sources, diagnostics) = fixture::mistakes();
        let json: serde_json::Value = serde_json::from_str(&validation_json(&diagnostics, &sources)).unwrap();
        assert_eq!(json["valid"], false);
        assert_eq!(
            (&json["error_count"], &json["warning_count"]),
            (&2.into(), &1.into())
        );
        assert_eq!(json["diagnostics"].as_array().unwrap().len(), 3);
        let nothing = validation_json(&[], &sources);
        assert!(nothing.contains("\"valid\": true"), "{nothing}");
    }
}
