//! The AWS CLI's output formats, byte for byte.

mod json;
mod table;
mod text;
mod yaml;

use serde_json::Value;

use super::PutImageError;
pub use table::TableLook;

/// An output format of the AWS CLI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Indented by four spaces.
    #[default]
    Json,
    /// Tabs between values, sorted by member.
    Text,
    /// Frames of dashes.
    Table,
    /// Blocks, sorted by member.
    Yaml,
    /// A list of answers, which is one here.
    YamlStream,
}

impl std::str::FromStr for OutputFormat {
    type Err = PutImageError;

    fn from_str(text: &str) -> Result<Self, PutImageError> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            "table" => Ok(Self::Table),
            "yaml" => Ok(Self::Yaml),
            "yaml-stream" => Ok(Self::YamlStream),
            other => Err(PutImageError::Other(format!("Unknown output type: {other}"))),
        }
    }
}

/// Prints an answer, or what a query picked from it; an empty object is nothing at all.
///
/// Fails for a table whose rows do not fit together, and for lists of structures and other things as table or text.
pub fn render(value: &Value, format: OutputFormat, look: TableLook) -> Result<String, PutImageError> {
    let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
    match format {
        OutputFormat::Text => text::text(value),
        OutputFormat::Table => table::table(value, look),
        _ if is_empty => Ok(String::new()),
        OutputFormat::Json => Ok(json::json(value)),
        OutputFormat::Yaml => Ok(yaml::yaml(value)),
        OutputFormat::YamlStream => Ok(yaml::yaml(&Value::Array(vec![value.clone()]))),
    }
}
