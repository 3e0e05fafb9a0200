//! What `PutImage` is asked to do: members from options and from `--cli-input-json`, checked as ECR's API model says.

use serde_json::{Map, Value};

use super::{PutImageError, plain, python};
use crate::yaml;

/// A member of `PutImage`'s request, by ECR's API model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name on the wire and in `--cli-input-json`.
    pub name: &'static str,
    /// Its option, without the dashes.
    pub option: &'static str,
    /// Whether the call makes no sense without it.
    pub is_required: bool,
    /// The fewest characters it may have.
    pub chars_min: usize,
}

/// The members of `PutImage`'s request, in the order of ECR's API model.
pub const MEMBERS: [Member; 6] = [
    member("registryId", "registry-id", false, 0),
    member("repositoryName", "repository-name", true, 2),
    member("imageManifest", "image-manifest", true, 1),
    member("imageManifestMediaType", "image-manifest-media-type", false, 0),
    member("imageTag", "image-tag", false, 1),
    member("imageDigest", "image-digest", false, 0),
];

const fn member(name: &'static str, option: &'static str, is_required: bool, chars_min: usize) -> Member {
    Member {
        name,
        option,
        is_required,
        chars_min,
    }
}

/// Members by name, of any type, before they are checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(Map<String, Value>);

/// The format of a whole request in one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `--cli-input-json`.
    Json,
    /// `--cli-input-yaml`.
    Yaml,
}

/// A request that ECR's API model accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The account; the caller's own if absent.
    pub registry_id: Option<String>,
    /// The repository.
    pub repository_name: String,
    /// The manifest.
    pub image_manifest: String,
    /// The manifest's media type; needed where the manifest itself does not say it.
    pub image_manifest_media_type: Option<String>,
    /// The tag.
    pub image_tag: Option<String>,
    /// The digest that the manifest must have.
    pub image_digest: Option<String>,
}

impl Parameters {
    /// Sets a member, as its option does.
    pub fn set(&mut self, member: &str, text: String) {
        self.0.insert(member.to_owned(), Value::String(text));
    }

    /// Whether a member is set.
    pub fn has(&self, member: &str) -> bool {
        self.0.contains_key(member)
    }

    /// Adds what an input says; members that are set already stay.
    ///
    /// Fails if the input is not JSON or YAML, or is no mapping.
    pub fn add_input(&mut self, input: Input, text: &str) -> Result<(), PutImageError> {
        let value = match input {
            Input::Json => serde_json::from_str(text).ok(),
            Input::Yaml => yaml::parse(text).ok().map(|node| plain::to_value(&node)),
        };
        let Some(value) = value else {
            let why = format!("Invalid {} received.", input.format());
            return Err(PutImageError::parameter(input.option(), why));
        };
        let Value::Object(members) = value else {
            let kind = python::class(&value);
            let why = format!("Invalid type: expecting map, received <class '{kind}'>");
            return Err(PutImageError::parameter(&format!("--{}", input.option()), why));
        };
        for (name, value) in members {
            self.0.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// The options that must still be given.
    pub fn missing_options(&self) -> Vec<String> {
        let missing = MEMBERS
            .iter()
            .filter(|member| member.is_required && !self.0.contains_key(member.name));
        missing.map(|member| format!("--{}", member.option)).collect()
    }

    /// What is wrong, all of it, in botocore's words and order.
    fn problems(&self) -> Vec<String> {
        let missing = MEMBERS
            .iter()
            .filter(|member| member.is_required && !self.0.contains_key(member.name))
            .map(|member| format!("Missing required parameter in input: \"{}\"", member.name));
        let known = |name: &str| MEMBERS.iter().find(|member| member.name == name);
        let unknown = self.0.keys().filter(|name| known(name).is_none()).map(|name| {
            let names = MEMBERS.map(|member| member.name).join(", ");
            format!("Unknown parameter in input: \"{name}\", must be one of: {names}")
        });
        let unfit = self
            .0
            .iter()
            .filter_map(|(name, value)| unfit(known(name)?, value));
        missing.chain(unknown).chain(unfit).collect()
    }
}

/// What is wrong with a member's value.
fn unfit(member: &Member, value: &Value) -> Option<String> {
    let Member { name, chars_min, .. } = *member;
    let Value::String(text) = value else {
        let (value, kind) = (python::repr(value), python::class(value));
        return Some(format!(
            "Invalid type for parameter {name}, value: {value}, type: <class '{kind}'>, valid types: <class 'str'>"
        ));
    };
    let chars = text.chars().count();
    (chars < chars_min).then(|| {
        format!("Invalid length for parameter {name}, value: {chars}, valid min length: {chars_min}")
    })
}

impl Input {
    fn option(self) -> &'static str {
        match self {
            Self::Json => "cli-input-json",
            Self::Yaml => "cli-input-yaml",
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        }
    }
}

impl TryFrom<Parameters> for Request {
    type Error = PutImageError;

    fn try_from(parameters: Parameters) -> Result<Self, PutImageError> {
        let problems = parameters.problems();
        if !problems.is_empty() {
            let report = format!("Parameter validation failed:\n{}", problems.join("\n"));
            return Err(PutImageError::Usage(report));
        }
        let mut members = parameters.0;
        let mut take = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Ok(Self {
            registry_id: take("registryId"),
            repository_name: take("repositoryName").unwrap_or_default(),
            image_manifest: take("imageManifest").unwrap_or_default(),
            image_manifest_media_type: take("imageManifestMediaType"),
            image_tag: take("imageTag"),
            image_digest: take("imageDigest"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::skeleton;
    use super::*;

    fn check(input: Input, text: &str) -> Result<Request, String> {
        let mut parameters = Parameters::default();
        let added = parameters.add_input(input, text);
        added
            .and_then(|()| parameters.try_into())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_beat_the_input() {
        let mut parameters = Parameters::default();
        parameters.set("imageTag", "of-option".to_owned());
        let input = r#"{"repositoryName": "app", "imageManifest": "{}", "imageTag": "of-input"}"#;
        parameters.add_input(Input::Json, input).unwrap();
        let request = Request::try_from(parameters).unwrap();
        assert_eq!(request.image_tag.as_deref(), Some("of-option"));
        assert_eq!(request.repository_name, "app");
    }

    #[test]
    fn every_problem_is_told_in_botocores_order() {
        let report = check(Input::Json, r#"{"imageTag": null, "x": 1, "repositoryName": 5}"#).unwrap_err();
        let lines: Vec<&str> = report.lines().collect();
        assert_eq!(
            lines,
            [
                "Parameter validation failed:",
                "Missing required parameter in input: \"imageManifest\"",
                "Unknown parameter in input: \"x\", must be one of: registryId, repositoryName, imageManifest, \
                 imageManifestMediaType, imageTag, imageDigest",
                "Invalid type for parameter imageTag, value: None, type: <class 'NoneType'>, valid types: <class 'str'>",
                "Invalid type for parameter repositoryName, value: 5, type: <class 'int'>, valid types: <class 'str'>",
            ]
        );
        let short = check(Input::Json, r#"{"imageManifest": "", "repositoryName": "é"}"#).unwrap_err();
        assert_eq!(
            short,
            "Parameter validation failed:\nInvalid length for parameter imageManifest, value: 0, valid min length: \
             1\nInvalid length for parameter repositoryName, value: 1, valid min length: 2"
        );
    }

    #[test]
    fn yaml_scalars_have_the_types_of_yaml() {
        let report = check(
            Input::Yaml,
            "repositoryName: app\nimageManifest: {a: [1.5, true]}\nimageTag: 2019-08-01\nregistryId: 123456789012\n",
        )
        .unwrap_err();
        assert!(
            report.contains("imageManifest, value: {'a': [1.5, True]}, type: <class 'dict'>"),
            "{report}"
        );
        assert!(
            report.contains("imageTag, value: 2019-08-01, type: <class 'datetime.date'>"),
            "{report}"
        );
        assert!(
            report.contains("registryId, value: 123456789012, type: <class 'int'>"),
            "{report}"
        );
        let request = check(
            Input::Yaml,
            "repositoryName: app\nimageManifest: '{}'\nimageTag: v1.0\nregistryId: '123456789012'\n",
        );
        assert_eq!(request.unwrap().registry_id.as_deref(), Some("123456789012"));
    }

    #[test]
    fn an_input_must_be_a_mapping() {
        for (input, text, expected) in [
            (
                Input::Json,
                "[",
                "Error parsing parameter 'cli-input-json': Invalid JSON received.",
            ),
            (
                Input::Yaml,
                "[",
                "Error parsing parameter 'cli-input-yaml': Invalid YAML received.",
            ),
            (
                Input::Json,
                "[]",
                "Error parsing parameter '--cli-input-json': Invalid type: expecting map, received <class 'list'>",
            ),
            (
                Input::Yaml,
                "x",
                "Error parsing parameter '--cli-input-yaml': Invalid type: expecting map, received <class 'str'>",
            ),
        ] {
            assert_eq!(check(input, text).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_skeleton_can_be_read_back() {
        for (input, text) in [
            (Input::Json, skeleton::input()),
            (Input::Yaml, skeleton::yaml_input()),
        ] {
            let report = check(input, &text).unwrap_err();
            assert!(
                !report.contains("Unknown") && report.contains("Invalid length"),
                "{report}"
            );
        }
    }
}
