//! The schemas, and that what is written fits them.

use serde_json::Value;

use crate::support::{Folder, assert_current};

fn schema(of: &str) -> String {
    Folder::new().run(&format!("schema {of}")).succeeds().out
}

/// What does not fit the schema.
pub(crate) fn misfits(of: &str, document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(&schema(of)).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors = validator.iter_errors(document);
    errors
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect()
}

#[test]
fn the_schemas_are_current() {
    for of in ["plan", "changeset", "event", "journal"] {
        assert_current(&format!("schemas/{of}.schema.json"), &schema(of));
    }
}
