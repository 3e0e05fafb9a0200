//! What ECR reads out of a manifest, and the media types it takes.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Digest;

/// The media type of a stored manifest.
///
/// Signed Docker schema 1 manifests are left out: their digest is not that of their bytes. (AWS docs, "Container
/// image manifest format support".)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MediaType {
    /// Docker image manifest v2, schema 2.
    #[serde(rename = "application/vnd.docker.distribution.manifest.v2+json")]
    DockerManifest,
    /// Docker manifest list.
    #[serde(rename = "application/vnd.docker.distribution.manifest.list.v2+json")]
    DockerList,
    /// OCI image manifest; artifacts, charts and signatures are of this type too.
    #[serde(rename = "application/vnd.oci.image.manifest.v1+json")]
    OciManifest,
    /// OCI image index.
    #[serde(rename = "application/vnd.oci.image.index.v1+json")]
    OciIndex,
}

impl MediaType {
    const ALL: [Self; 4] = [
        Self::DockerManifest,
        Self::DockerList,
        Self::OciManifest,
        Self::OciIndex,
    ];

    /// The media type as it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        }
    }

    /// The media type that is written so, if ECR takes it.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|media_type| media_type.as_str() == text)
    }

    /// Whether manifests of this type name other manifests.
    pub fn is_index(self) -> bool {
        matches!(self, Self::DockerList | Self::OciIndex)
    }

    /// The type of the config blob that a container image of this type has.
    pub(super) fn usual_artifact(self) -> Option<&'static str> {
        match self {
            Self::DockerManifest => Some("application/vnd.docker.container.image.v1+json"),
            Self::OciManifest => Some("application/vnd.oci.image.config.v1+json"),
            Self::DockerList | Self::OciIndex => None,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a manifest says about itself.
#[derive(Debug)]
pub(super) struct Facts {
    /// The `mediaType` member, if there is one.
    pub media_type: Option<String>,
    /// Whether it has `manifests` rather than `config` and `layers`.
    pub is_index: bool,
    /// The config and the layers, without foreign layers, which are never pushed.
    pub blobs: Vec<Digest>,
    /// The manifests that an index names.
    pub children: Vec<Digest>,
    /// The image that this one is attached to.
    pub subject: Option<Digest>,
    /// The `artifactType`, or else the media type of the config.
    pub artifact: Option<String>,
    /// The sizes of config and layers added up, in bytes.
    pub size_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    schema_version: u64,
    #[serde(borrow)]
    media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    artifact_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    config: Option<Descriptor<'a>>,
    #[serde(borrow)]
    layers: Option<Vec<Descriptor<'a>>>,
    #[serde(borrow)]
    manifests: Option<Vec<Descriptor<'a>>>,
    #[serde(borrow)]
    subject: Option<Descriptor<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    #[serde(borrow)]
    media_type: Option<Cow<'a, str>>,
    digest: Digest,
    size: u64,
}

impl Descriptor<'_> {
    fn is_foreign(&self) -> bool {
        self.media_type.as_deref().is_some_and(|media_type| {
            media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
        })
    }
}

/// Reads a manifest; `None` if it is no image manifest and no index.
pub(super) fn read(manifest: &str) -> Option<Facts> {
    let written: Written<'_> = serde_json::from_str(manifest).ok()?;
    if written.schema_version != 2 {
        return None;
    }
    let media_type = written.media_type.map(Cow::into_owned);
    let subject = written.subject.map(|subject| subject.digest);
    match (written.config, written.layers, written.manifests) {
        (None, None, Some(manifests)) => Some(Facts {
            media_type,
            is_index: true,
            blobs: Vec::new(),
            children: manifests.iter().map(|child| child.digest).collect(),
            subject,
            artifact: written.artifact_type.map(Cow::into_owned),
            size_bytes: 0,
        }),
        (Some(config), Some(layers), None) => {
            let artifact = written.artifact_type.or_else(|| config.media_type.clone());
            let parts: Vec<&Descriptor<'_>> = std::iter::once(&config).chain(&layers).collect();
            Some(Facts {
                media_type,
                is_index: false,
                size_bytes: parts
                    .iter()
                    .fold(0, |sum: u64, part| sum.saturating_add(part.size)),
                blobs: parts
                    .iter()
                    .filter(|part| !part.is_foreign())
                    .map(|part| part.digest)
                    .collect(),
                children: Vec::new(),
                subject,
                artifact: artifact.map(Cow::into_owned),
            })
        }
        _ => None,
    }
}

/// The same image in the other single-image format, as ECR serves it to a client that takes only that one.
///
/// The bytes, and so the digest, are others. `None` if ECR has no such conversion. (AWS docs, "Container image
/// manifest format support".)
pub(super) fn convert(manifest: &str, from: MediaType, to: MediaType) -> Option<String> {
    const PAIRS: [(&str, &str); 4] = [
        (
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.oci.image.manifest.v1+json",
        ),
        (
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.oci.image.config.v1+json",
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.oci.image.layer.v1.tar",
        ),
    ];
    let to_oci = match (from, to) {
        (MediaType::DockerManifest, MediaType::OciManifest) => true,
        (MediaType::OciManifest, MediaType::DockerManifest) => false,
        _ => return None,
    };
    let exchange = |media_type: &mut Value| {
        let found = PAIRS.iter().find_map(|&(docker, oci)| {
            let (old, new) = if to_oci { (docker, oci) } else { (oci, docker) };
            (media_type.as_str() == Some(old)).then_some(new)
        });
        if let Some(new) = found {
            *media_type = Value::from(new);
        }
    };
    let mut image: Value = serde_json::from_str(manifest).ok()?;
    let members = image.as_object_mut()?;
    members.insert("mediaType".to_owned(), Value::from(to.as_str()));
    if let Some(media_type) = members
        .get_mut("config")
        .and_then(|config| config.get_mut("mediaType"))
    {
        exchange(media_type);
    }
    for layer in members
        .get_mut("layers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(media_type) = layer.get_mut("mediaType") {
            exchange(media_type);
        }
    }
    Some(image.to_string())
}
