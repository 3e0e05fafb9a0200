//! ECR's own nouns, each with its grammar in `FromStr`: what is parsed once is valid everywhere after.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text that a name was parsed from does not follow ECR's grammar for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {noun}: {reason}")]
pub struct InvalidName {
    /// What the text was meant to be, such as `tag`.
    pub noun: &'static str,
    /// The text as it was given, shortened and with control characters escaped.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl InvalidName {
    fn new(noun: &'static str, text: &str, reason: impl Into<String>) -> Self {
        const SHOWN_CHARS_MAX: usize = 140;
        let mut shown: String = text
            .chars()
            .take(SHOWN_CHARS_MAX)
            .flat_map(char::escape_debug)
            .collect();
        if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
            shown.push('…');
        }
        Self {
            noun,
            text: shown,
            reason: reason.into(),
        }
    }
}

macro_rules! text_name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_name! {
    /// The name of a repository, such as `shop/api`.
    RepositoryName
}

text_name! {
    /// A tag of an image, such as `1.8.0`.
    Tag
}

text_name! {
    /// An AWS account id: twelve digits.
    AccountId
}

text_name! {
    /// An AWS region, such as `eu-west-1`.
    Region
}

text_name! {
    /// The name that a plan file gives to a registry, such as `eu`.
    RegistryKey
}

impl RepositoryName {
    /// The last part of the path: `api` of `shop/api`.
    pub fn last_part(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidName;

    /// Follows the pattern of ECR's API model: parts of lower case letters and digits, joined by one of
    /// `.`, `_`, `__` or any number of `-`; parts are separated by `/`; 2 to 256 characters in all.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |reason: &str| Err(InvalidName::new("repository name", text, reason));
        if !(2..=256).contains(&text.len()) {
            return invalid("it must have 2 to 256 characters");
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return invalid("upper case letters are not allowed");
        }
        if text.split('/').all(is_repository_part) {
            Ok(Self(text.into()))
        } else {
            invalid(
                "each part between `/` must be lower case letters and digits, joined by `.`, `_`, `__` or `-`",
            )
        }
    }
}

fn is_repository_part(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    is_word(first)
        && is_word(last)
        && part
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

impl Tag {
    /// The most characters that ECR takes for a tag.
    pub const CHARS_MAX: usize = 300;

    /// Whether container clients can pull by this tag: ECR takes more than the OCI grammar does.
    pub fn is_pullable(&self) -> bool {
        self.0.len() <= 128 && !self.0.starts_with(['.', '-'])
    }
}

impl FromStr for Tag {
    type Err = InvalidName;

    /// Follows ECR's own check, `[a-zA-Z0-9-_.]+` and at most 300 characters.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |reason: String| Err(InvalidName::new("tag", text, reason));
        if text.is_empty() {
            return invalid("it is empty".to_owned());
        }
        if text.len() > Self::CHARS_MAX {
            return invalid(format!(
                "it has {} characters, {} are allowed",
                text.len(),
                Self::CHARS_MAX
            ));
        }
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        match text.bytes().position(|b| !is_allowed(b)) {
            None => Ok(Self(text.into())),
            Some(at) => invalid(format!(
                "`{}` is not allowed, only letters, digits, `-`, `_` and `.`",
                text.get(at..)
                    .and_then(|rest| rest.chars().next())
                    .unwrap_or_default()
                    .escape_debug()
            )),
        }
    }
}

impl FromStr for AccountId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::new("account id", text, "it must be twelve digits"))
        }
    }
}

impl FromStr for Region {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_label = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::new("region", text, "it must look like `eu-west-1`"))
        }
    }
}

impl FromStr for RegistryKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_name = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if is_name {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::new(
                "registry name",
                text,
                "it must be 1 to 64 letters, digits, `-`, `_` or `.`",
            ))
        }
    }
}

impl Default for RegistryKey {
    /// The one registry of a plan file that declares none.
    fn default() -> Self {
        Self("default".into())
    }
}

/// The digest of an image: the SHA-256 of the bytes of its manifest.
///
/// Kept as 32 bytes, so that a registry of a million tags is compared without a million strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Computes the digest of these texts, one after the other.
    pub fn of_all(texts: impl IntoIterator<Item = String>) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        for text in texts {
            hasher.update(text);
        }
        Self(hasher.finalize().into())
    }

    /// The first twelve hex digits, as in `${short_digest}`.
    pub fn short(&self) -> String {
        let text = self.to_string();
        let hex = text.get("sha256:".len()..).unwrap_or_default();
        hex.get(..12).unwrap_or_default().to_owned()
    }
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || {
            InvalidName::new(
                "digest",
                text,
                "it must be `sha256:` and 64 lower case hex digits",
            )
        };
        let hex = text
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64)
            .ok_or_else(invalid)?;
        let mut bytes = [0; 32];
        // Judged as a whole at the end: a registry has millions of digests.
        let mut all_bits = 0;
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
            let [high, low] = pair.map(hex_value);
            all_bits |= high | low;
            *byte = (high << 4) | (low & 0xf);
        }
        if all_bits > 0xf {
            return Err(invalid());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [[0; 2]; 32];
        for (digits, byte) in hex.iter_mut().zip(self.0) {
            *digits = [hex_digit(byte >> 4), hex_digit(byte & 0xf)];
        }
        f.write_str("sha256:")?;
        f.write_str(str::from_utf8(hex.as_flattened()).unwrap_or_default())
    }
}

/// The value of a hex digit, or more than 15 for any other byte.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => u8::MAX,
    }
}

fn hex_digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + value - 10,
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", self.short())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One tag of one repository, written `REPOSITORY:TAG`, or `NAME/REPOSITORY:TAG` in a plan with several
/// registries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The registry's name in the plan file.
    pub registry: RegistryKey,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
}

impl Address {
    /// Writes the address as users see it; `is_qualified` is true exactly when the plan declares more than one
    /// registry.
    pub fn to_text(&self, is_qualified: bool) -> String {
        Self::before_tag(&self.registry, &self.repository, is_qualified) + self.tag.as_str()
    }

    /// How the addresses of all tags of a repository begin.
    pub fn before_tag(registry: &RegistryKey, repository: &RepositoryName, is_qualified: bool) -> String {
        if is_qualified {
            format!("{registry}/{repository}:")
        } else {
            format!("{repository}:")
        }
    }
}

/// Which tags of a repository can be moved.
///
/// The four modes of ECR since July 2025; a filter's `*` stands for any text, and it must match the whole tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mutability {
    /// Every tag can be moved.
    #[default]
    Mutable,
    /// No tag can be moved.
    Immutable,
    /// Only tags that match a filter can be moved.
    ImmutableExcept(Vec<String>),
    /// Tags that match a filter can not be moved.
    MutableExcept(Vec<String>),
}

impl Mutability {
    /// Whether a tag of this name, once it exists, stays on its image.
    pub fn is_immutable(&self, tag: &Tag) -> bool {
        let any = |filters: &[String]| {
            filters
                .iter()
                .any(|filter| wildcard_matches(filter, tag.as_str()))
        };
        match self {
            Self::Mutable => false,
            Self::Immutable => true,
            Self::ImmutableExcept(filters) => !any(filters),
            Self::MutableExcept(filters) => any(filters),
        }
    }
}

/// Whether `text` matches `pattern` from end to end, `*` standing for any text, as in ECR's exclusion filters.
pub fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_api_model() {
        for ok in [
            "ab",
            "shop/api",
            "a__b",
            "a--b",
            "a---b",
            "a.b_c/d-e",
            "0/1",
            "a1/b2/c3",
        ] {
            assert!(ok.parse::<RepositoryName>().is_ok(), "{ok}");
        }
        for bad in [
            "a", "", "A/b", "a//b", "/ab", "ab/", "a..b", "a___b", "a._b", "-ab", "ab-", "a b", "a-_b",
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
        assert!("a".repeat(256).parse::<RepositoryName>().is_ok());
        assert!("a".repeat(257).parse::<RepositoryName>().is_err());
    }

    #[test]
    fn tags_follow_the_server_and_know_what_clients_take() {
        for (text, is_pullable) in [("1.8.0", true), ("_x", true), (".x", false), ("-x", false)] {
            assert_eq!(text.parse::<Tag>().unwrap().is_pullable(), is_pullable, "{text}");
        }
        assert!(!"a".repeat(129).parse::<Tag>().unwrap().is_pullable());
        assert!("a".repeat(300).parse::<Tag>().is_ok());
        for bad in ["", "a b", "a/b", "a+b", "é", "a\u{1b}[31m"] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
        let shown = "a\u{1b}[31m".parse::<Tag>().unwrap_err().to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn digests_round_trip_and_hash() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
        assert!("sha256:E3".parse::<Digest>().is_err());
        assert!(empty.to_uppercase().parse::<Digest>().is_err());
    }

    #[test]
    fn wildcards_match_the_whole_tag() {
        for (pattern, text, expected) in [
            ("latest", "latest", true),
            ("latest", "latest1", false),
            ("dev-*", "dev-", true),
            ("dev-*", "xdev-1", false),
            ("*-dev", "a-dev", true),
            ("*-dev", "a-dev2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(wildcard_matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
