//! Makes manifests of every kind that ECR stores. What they name is derived from a text, so that the same text always
//! gives the same digest.

use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;
use serde_json::{Value, json};

use crate::model::Digest;
use crate::sandbox::state::MediaType;

/// A kind of image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A Docker v2 schema 2 manifest, indented by three spaces as `docker push` writes it.
    #[default]
    Docker,
    /// A Docker manifest list of two platforms.
    DockerList,
    /// An OCI manifest on one line.
    Oci,
    /// An OCI index of two platforms, with an attestation for each, as `BuildKit` pushes it.
    OciIndex,
    /// An OCI manifest without a `mediaType` member.
    Bare,
    /// An OCI manifest, indented and with a newline at its end.
    Pretty,
    /// An artifact that is attached to an image, as a list of its packages is.
    Artifact,
    /// A Helm chart: its config is no image config, and it has no `mediaType` member.
    Chart,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Docker,
        Self::DockerList,
        Self::Oci,
        Self::OciIndex,
        Self::Bare,
        Self::Pretty,
        Self::Artifact,
        Self::Chart,
    ];
}

/// A manifest, with the images that must be there before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The bytes.
    pub manifest: String,
    /// The media type to push it with.
    pub media_type: MediaType,
    /// Children of an index, or the subject of an artifact.
    pub before: Vec<Made>,
}

/// Makes the image that is called `name`; images of one `family` share their first layer.
pub fn make(kind: Kind, family: &str, name: &str) -> Made {
    match kind {
        Kind::Docker => leaf(
            indented(&image(Dialect::Docker, family, name), "   "),
            MediaType::DockerManifest,
        ),
        Kind::Oci => leaf(
            image(Dialect::Oci, family, name).to_string(),
            MediaType::OciManifest,
        ),
        Kind::Bare => {
            let mut manifest = image(Dialect::Oci, family, name);
            remove(&mut manifest, "mediaType");
            leaf(manifest.to_string(), MediaType::OciManifest)
        }
        Kind::Pretty => {
            let mut manifest = image(Dialect::Oci, family, name);
            insert(
                &mut manifest,
                "annotations",
                json!({ "org.opencontainers.image.title": name }),
            );
            let manifest = indented(&manifest, "  ") + "\n";
            leaf(manifest, MediaType::OciManifest)
        }
        Kind::DockerList => list(family, name),
        Kind::OciIndex => index(family, name),
        Kind::Artifact => artifact(family, name),
        Kind::Chart => leaf(chart(family, name), MediaType::OciManifest),
    }
}

impl Made {
    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }

    fn to_descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type.as_str(),
            "digest": self.digest(),
            "size": self.manifest.len(),
        })
    }
}

#[derive(Clone, Copy)]
enum Dialect {
    Docker,
    Oci,
}

impl Dialect {
    fn media_types(self) -> [&'static str; 3] {
        match self {
            Self::Docker => [
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ],
            Self::Oci => [
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ],
        }
    }
}

fn image(dialect: Dialect, family: &str, name: &str) -> Value {
    let [manifest, config, layer] = dialect.media_types();
    json!({
        "schemaVersion": 2,
        "mediaType": manifest,
        "config": blob(config, &format!("config {family} {name}"), 1_500),
        "layers": [
            blob(layer, &format!("base {family}"), 30_000_000),
            blob(layer, &format!("layer {family} {name}"), 9_000_000),
        ],
    })
}

fn list(family: &str, name: &str) -> Made {
    let platform = |architecture: &str| {
        let manifest = image(Dialect::Docker, family, &format!("{name} linux/{architecture}"));
        let child = leaf(indented(&manifest, "   "), MediaType::DockerManifest);
        let mut entry = child.to_descriptor();
        insert(
            &mut entry,
            "platform",
            json!({ "architecture": architecture, "os": "linux" }),
        );
        (child, entry)
    };
    let (before, manifests): (Vec<Made>, Vec<Value>) = ["amd64", "arm64"].map(platform).into_iter().unzip();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DockerList.as_str(),
        "manifests": manifests,
    });
    Made {
        manifest: indented(&manifest, "   "),
        media_type: MediaType::DockerList,
        before,
    }
}

fn index(family: &str, name: &str) -> Made {
    let mut before = Vec::new();
    let mut platforms = Vec::new();
    let mut attestations = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let manifest = image(Dialect::Oci, family, &format!("{name} linux/{architecture}"));
        let child = leaf(manifest.to_string(), MediaType::OciManifest);
        let mut entry = child.to_descriptor();
        insert(
            &mut entry,
            "platform",
            json!({ "architecture": architecture, "os": "linux" }),
        );
        platforms.push(entry);
        let attestation = leaf(
            attestation(&format!("{family} {name} linux/{architecture}")),
            MediaType::OciManifest,
        );
        let mut entry = attestation.to_descriptor();
        insert(
            &mut entry,
            "annotations",
            json!({
                "vnd.docker.reference.digest": child.digest(),
                "vnd.docker.reference.type": "attestation-manifest",
            }),
        );
        insert(
            &mut entry,
            "platform",
            json!({ "architecture": "unknown", "os": "unknown" }),
        );
        attestations.push(entry);
        before.extend([child, attestation]);
    }
    platforms.append(&mut attestations);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciIndex.as_str(),
        "manifests": platforms,
    });
    Made {
        manifest: indented(&manifest, "  "),
        media_type: MediaType::OciIndex,
        before,
    }
}

fn attestation(name: &str) -> String {
    let mut layer = blob("application/vnd.in-toto+json", &format!("sbom {name}"), 40_000);
    insert(
        &mut layer,
        "annotations",
        json!({ "in-toto.io/predicate-type": "https://spdx.dev/Document" }),
    );
    let [manifest, config, _] = Dialect::Oci.media_types();
    json!({
        "schemaVersion": 2,
        "mediaType": manifest,
        "config": blob(config, &format!("attestation {name}"), 240),
        "layers": [layer],
    })
    .to_string()
}

fn artifact(family: &str, name: &str) -> Made {
    let subject = leaf(
        image(Dialect::Oci, family, &format!("{name} subject")).to_string(),
        MediaType::OciManifest,
    );
    let empty = json!({
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": Digest::of(b"{}"),
        "size": 2,
        "data": "e30=",
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "artifactType": "application/spdx+json",
        "config": empty,
        "layers": [blob("application/spdx+json", &format!("sbom {family} {name}"), 60_000)],
        "subject": subject.to_descriptor(),
    });
    Made {
        manifest: manifest.to_string(),
        media_type: MediaType::OciManifest,
        before: vec![subject],
    }
}

fn chart(family: &str, name: &str) -> String {
    let manifest = json!({
        "schemaVersion": 2,
        "config": blob("application/vnd.cncf.helm.config.v1+json", &format!("chart config {family} {name}"), 300),
        "layers": [blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &format!("chart {family} {name}"), 20_000)],
    });
    manifest.to_string()
}

/// A descriptor of a blob that nobody has: its digest is that of its name, its size about `size_bytes`.
fn blob(media_type: &str, name: &str, size_bytes: u64) -> Value {
    let digest = Digest::of(name.as_bytes());
    let spread = u64::from_str_radix(digest.short().get(..6).unwrap_or_default(), 16).unwrap_or_default();
    json!({
        "mediaType": media_type,
        "digest": digest,
        "size": size_bytes + spread % (size_bytes / 2).max(1),
    })
}

fn leaf(manifest: String, media_type: MediaType) -> Made {
    Made {
        manifest,
        media_type,
        before: Vec::new(),
    }
}

fn indented(value: &Value, indent: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => value.to_string(),
    }
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.shift_remove(name);
    }
}
