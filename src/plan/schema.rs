//! The JSON Schema of plan files, which editors complete from.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::file::PlanFile;
use super::reader::{Entries, Many, OneOrMany, Spanned, Text};

/// The JSON Schema of plan files, draft 2020-12: what `schemas/plan.schema.json` holds.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    settings
        .into_generator()
        .into_root_schema_for::<PlanFile>()
        .to_value()
}

/// An optional key is absent or has a value; `null` is neither.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let is_null = |value: &Value| *value == json!("null") || *value == json!({ "type": "null" });
    for key in ["type", "anyOf"] {
        let Some(Value::Array(options)) = object.get_mut(key) else {
            continue;
        };
        options.retain(|option| !is_null(option));
        if let ([only], "type") = (options.as_slice(), key) {
            let only = only.clone();
            object.insert(key.to_owned(), only);
        } else if let ([Value::Object(only)], "anyOf") = (options.as_slice(), key) {
            let only = only.clone();
            object.remove(key);
            object.extend(only);
        }
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    /// Editors read `1.10` as a number and `no` as a boolean; the program takes both as they are written.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Text, taken as it is written: 1.10, 007 and no need no quotes.",
            "type": ["string", "number", "boolean"],
        })
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "minItems": 1, "items": generator.subschema_for::<T>() })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        let many = generator.subschema_for::<Many<T>>();
        json_schema!({ "anyOf": [one, many] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("MappingOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }

    fn inline_schema() -> bool {
        true
    }
}
