//! The plan file as it is written: its keys, their schema and their reading, declared once.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::reader::{Choice, Entries, Fields, FromNode, Many, OneOrMany, Origin, Reader, Spanned, Text};
use super::{OnExisting, OnMissing, OnProtected, Pick};
use crate::diagnostic::Span;
use crate::yaml::{Node, Value};

/// Declares a mapping of the plan file: a struct with a field for each key, its JSON Schema and its reading.
///
/// A field is absent if its key is, or if its value was reported; so whoever checks the struct goes on regardless.
/// `[origin]` adds the place where the mapping stands; the noun is what messages call it.
macro_rules! mapping {
    (
        $(#[$meta:meta])*
        $name:ident $([$origin:ident])? as $noun:literal
        required { $($(#[$required_meta:meta])* $required:ident: $required_type:ty,)* }
        optional { $($(#[$optional_meta:meta])* $optional:ident: $optional_type:ty,)* }
    ) => {
        #[derive(Debug, Clone, JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[$meta])*
        pub(super) struct $name {
            $(
                /// Where it stands.
                #[schemars(skip)]
                pub(super) $origin: Origin,
            )?
            $($(#[$required_meta])* #[schemars(required)] pub(super) $required: Option<$required_type>,)*
            $($(#[$optional_meta])* pub(super) $optional: Option<$optional_type>,)*
        }

        impl FromNode for $name {
            fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
                let mut fields = Fields::of(node, $noun, key, reader)?;
                $(let $required = fields.required(stringify!($required), reader);)*
                $(let $optional = fields.optional(stringify!($optional), reader);)*
                let _origin = fields.finish(reader);
                Some(Self {
                    $($origin: _origin,)?
                    $($required,)*
                    $($optional,)*
                })
            }
        }
    };
}

mapping! {
    /// A plan for ecr-retag: which tags of which repositories in Amazon ECR should be named what.
    #[schemars(rename = "Plan", title = "ecr-retag plan file")]
    PlanFile [origin] as "a plan file"
    required {
        /// The version of the plan file's format: 1.
        #[schemars(extend("enum" = [1, "1"], "type" = ["integer", "string"]))]
        version: Text,
    }
    optional {
        /// A name for the plan, shown in every output.
        #[schemars(example = "cut-1.8.0")]
        name: Text,
        /// The registries that rules apply to, by a name of your own. Without it there is one, `default`: the ambient region and credentials.
        registries: Entries<RegistryFile>,
        /// Variables that stand in templates and patterns as `${name}`: each with its default value, or with how it is to be given.
        #[schemars(example = json!({"version": "1.8.0", "candidate": {"required": true}}))]
        vars: Entries<VarFile>,
        /// What this plan may not do, whatever its rules say.
        policy: PolicyFile,
        /// What should be named what. All rules see the registry as it was at one moment, so that their order does not matter.
        rules: Many<RuleFile>,
    }
}

mapping! {
    /// An account's registry in one region, and how to reach it.
    #[schemars(rename = "Registry")]
    RegistryFile as "a registry"
    required {}
    optional {
        /// The region; the ambient one if absent.
        #[schemars(example = "eu-west-1")]
        region: Text,
        /// The account that must be reached, twelve digits: a pin against the wrong credentials.
        #[schemars(example = "123456789012")]
        account: Text,
        /// A profile of ~/.aws/config.
        #[schemars(example = &"release")]
        profile: Text,
        /// The ARN of a role to take on.
        #[schemars(example = "arn:aws:iam::123456789012:role/retag")]
        assume_role: Text,
        /// The external id that the role's trust policy asks for.
        external_id: Text,
        /// The name of the role's session, as the trail of API calls shows it.
        session_name: Text,
        /// How long the role's credentials last before they are renewed: 15m to 12h, and at most 1h for a role that is taken on with the credentials of another role.
        #[schemars(example = &"1h")]
        duration: Text,
        /// Another endpoint than the region's own.
        #[schemars(example = "http://127.0.0.1:4566")]
        endpoint: Text,
        /// A ceiling for the pace of PutImage in this registry, in calls per second.
        #[schemars(range(min = 0.1, max = 10000), example = 10)]
        put_image_per_second: Spanned<f64>,
    }
}

mapping! {
    /// A variable that must be given, or whose default value is explained.
    #[schemars(rename = "Variable")]
    VarMapping as "a variable"
    required {}
    optional {
        /// The value that holds if none is given.
        default: Text,
        /// Whether the variable must be given, by `--var`, `--var-file` or `ECR_RETAG_VAR_*`.
        #[schemars(extend("default" = false))]
        required: Spanned<bool>,
        /// What the variable is for.
        description: Text,
    }
}

mapping! {
    /// What a plan may not do, whatever its rules say.
    #[schemars(rename = "Policy")]
    PolicyFile as "a policy"
    required {}
    optional {
        /// Tags that are never moved or removed: names or globs.
        #[schemars(example = ["prod", "lts-*"])]
        protect: OneOrMany<Text>,
        /// What happens to a change of a protected tag.
        #[schemars(extend("default" = "fail"))]
        on_protected: Spanned<OnProtected>,
        /// The most tags that may be created; no limit if absent.
        #[schemars(example = 500)]
        max_creates: Spanned<u64>,
        /// The most tags that may be moved; no limit if absent.
        #[schemars(example = 50)]
        max_moves: Spanned<u64>,
        /// The most tags that may be removed; no limit if absent.
        #[schemars(example = 0)]
        max_removes: Spanned<u64>,
    }
}

mapping! {
    /// Repositories x source tags -> target tags: `from` with `to`, or `map`, or `map_file`.
    #[schemars(rename = "Rule", extend("oneOf" = [
        {"required": ["from", "to"]},
        {"required": ["map"]},
        {"required": ["map_file"]},
    ]))]
    RuleFile [origin] as "a rule"
    required {
        /// A name for the rule, unique in the plan; reports speak of rules by name.
        #[schemars(example = "promote the candidate")]
        name: Text,
        /// The repositories it applies to: names or globs (`*` matches `/` too); an entry that begins with `!` takes away.
        #[schemars(example = ["shop/*", "!shop/legacy-*"])]
        repositories: OneOrMany<Text>,
    }
    optional {
        /// The registries it applies to, by name; all if absent.
        registries: OneOrMany<Text>,
        /// Which tags are the sources: a tag, a glob, or a selector; of a list, any may match.
        #[schemars(example = "1.8.0-rc.3", example = json!({"semver": ">=1.8, <2"}))]
        from: OneOrMany<SelectorFile>,
        /// What the targets are called: text with `${...}`, such as `${tag}`, `${major}.${minor}` or a variable.
        #[schemars(example = json!(["${version}", "stable"]))]
        to: OneOrMany<Text>,
        /// Tag by tag: each source with its target or targets.
        #[schemars(example = json!({"old-tag": "new-tag", "other": ["a", "b"]}))]
        map: Entries<OneOrMany<Text>>,
        /// A TSV or CSV file with the columns from,to or repository,from,to; its path is relative to the plan file.
        #[schemars(example = "mapping.tsv")]
        map_file: Text,
        /// Which source counts when several with different images render to one target.
        #[schemars(extend("default" = "only"))]
        pick: Spanned<Pick>,
        /// What happens when a target is on another image.
        #[schemars(extend("default" = "move"))]
        on_existing: Spanned<OnExisting>,
        /// What happens when a source or a repository is not there: `fail` for exact sources and maps, `warn` for patterns, unless you say.
        on_missing: Spanned<OnMissing>,
        /// Whether the source tag goes away once every target is proved, so that the rule is a rename.
        #[schemars(extend("default" = false))]
        remove_source: Spanned<bool>,
        /// For a target that moves, the tag that its old image gets first.
        #[schemars(example = json!({"stable": "previous"}))]
        backup: Entries<Text>,
        /// The stage; a stage starts when the one before it has fully succeeded.
        #[schemars(extend("default" = 0, "maximum" = 1000))]
        stage: Spanned<u64>,
        /// Where a target must be now, if it is to change: on a tag's image, on a digest, or `absent`.
        #[schemars(example = json!({"stable": "1.7.3"}))]
        expect: Entries<Text>,
    }
}

mapping! {
    /// Which tags are taken, by exactly one of `tag`, `glob`, `regex`, `semver` and `digest`.
    #[schemars(rename = "Selector", extend("oneOf" = [
        {"required": ["tag"]},
        {"required": ["glob"]},
        {"required": ["regex"]},
        {"required": ["semver"]},
        {"required": ["digest"]},
    ]))]
    SelectorMapping [origin] as "a selector"
    required {}
    optional {
        /// This tag.
        tag: Text,
        /// Tags that match this pattern from end to end.
        #[schemars(example = "release-*")]
        glob: Text,
        /// Tags that match this expression from end to end; its captures stand in targets as `${1}` or `${name}`.
        #[schemars(example = "build-(\\d+)-g(?<commit>[0-9a-f]+)")]
        regex: Text,
        /// Tags that are versions and meet this requirement; their parts stand in targets as `${major}`, `${minor}`, `${patch}`.
        #[schemars(example = "*", example = ">=1.8, <2")]
        semver: Text,
        /// The image with this digest.
        #[schemars(example = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
        digest: Text,
        /// With `semver`: what stands before the version.
        #[schemars(example = &"v")]
        prefix: Text,
        /// With `semver`: whether pre-releases count by plain precedence, not only where the requirement names one.
        #[schemars(extend("default" = false))]
        prerelease: Spanned<bool>,
        /// With `semver`: whether a version may lack its minor or patch number, as `1.8`.
        #[schemars(extend("default" = false))]
        lenient: Spanned<bool>,
        /// Globs of tags that are left out all the same.
        exclude: OneOrMany<Text>,
        /// Only images pushed after this moment: RFC 3339, or a span that counts back from now.
        #[schemars(example = "2024-01-01T00:00:00Z", example = "30d")]
        pushed_after: Text,
        /// Only images pushed before this moment: RFC 3339, or a span that counts back from now.
        #[schemars(example = "2w")]
        pushed_before: Text,
    }
}

/// A selector: a tag or a glob as text, or a mapping.
#[derive(Debug, Clone)]
pub(super) enum SelectorFile {
    Text(Text),
    Mapping(Box<SelectorMapping>),
}

impl SelectorFile {
    /// Where it begins.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Text(text) => text.span,
            Self::Mapping(mapping) => mapping.origin.span,
        }
    }
}

/// A variable: its default value, or a mapping.
#[derive(Debug, Clone)]
pub(super) enum VarFile {
    Text(Text),
    Mapping(Box<VarMapping>),
}

/// Implements reading and schema of an enum that is a text or a mapping.
macro_rules! text_or_mapping {
    ($name:ident($mapping:ty) as $schema_name:literal) => {
        impl FromNode for $name {
            fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
                match &node.value {
                    Value::Mapping(_) => <$mapping>::from_node(node, key, reader)
                        .map(|mapping| Self::Mapping(Box::new(mapping))),
                    _ => Text::from_node(node, key, reader).map(Self::Text),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $schema_name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let text = generator.subschema_for::<Text>();
                let mapping = generator.subschema_for::<$mapping>();
                json_schema!({ "anyOf": [text, mapping] })
            }
        }
    };
}

text_or_mapping!(SelectorFile(SelectorMapping) as "TagOrSelector");
text_or_mapping!(VarFile(VarMapping) as "ValueOrVariable");

impl Choice for Pick {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("only", Self::Only),
        ("newest", Self::Newest),
        ("highest", Self::Highest),
    ];
}

impl Choice for OnExisting {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("move", Self::Move),
        ("keep", Self::Keep),
        ("fail", Self::Fail),
        ("advance", Self::Advance),
    ];
}

impl Choice for OnMissing {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("fail", Self::Fail),
        ("warn", Self::Warn),
        ("ignore", Self::Ignore),
    ];
}

impl Choice for OnProtected {
    const WORDS: &'static [(&'static str, Self)] = &[("fail", Self::Fail), ("skip", Self::Skip)];
}
