//! `--generate-cli-skeleton`: sample inputs and a sample answer; nothing is sent.

use serde_json::{Map, Value};

use super::answer::Image;
use super::{MEMBERS, OutputFormat, TableLook, render};

/// What a skeleton is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skeleton {
    /// A sample for `--cli-input-json`.
    Input,
    /// A sample for `--cli-input-yaml`, with comments.
    YamlInput,
    /// A sample answer.
    Output,
}

/// What each member is, in the words of ECR's API model.
const COMMENTS: [&str; 6] = [
    " # The Amazon Web Services account ID associated with the registry that contains the repository in which to put the image.",
    "# [REQUIRED] The name of the repository in which to put the image.",
    "# [REQUIRED] The image manifest corresponding to the image to be uploaded.",
    "# The media type of the image manifest.",
    "# The tag to associate with the image.",
    "# The image digest of the image manifest corresponding to the image.",
];

/// A sample for `--cli-input-json`.
pub fn input() -> String {
    let members = MEMBERS.map(|member| (member.name.to_owned(), Value::String(String::new())));
    let sample = Value::Object(Map::from_iter(members));
    render(&sample, OutputFormat::Json, TableLook::default()).unwrap_or_default()
}

/// A sample for `--cli-input-yaml`.
pub fn yaml_input() -> String {
    let lines = MEMBERS
        .iter()
        .zip(COMMENTS)
        .map(|(member, comment)| format!("{}: '' {comment}\n", member.name));
    lines.collect()
}

/// A sample answer.
pub fn output() -> Value {
    let image = Image {
        account: Some("registryId"),
        repository: Some("repositoryName"),
        digest: Some("imageDigest"),
        tag: Some("imageTag"),
        manifest: Some("imageManifest"),
        media_type: Some("imageManifestMediaType"),
    };
    image.to_answer()
}
