//! ECR's answer to `PutImage`, as JSON in the order of ECR's API model.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::ServiceError;

/// The image of an answer; what is absent is not printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Image<'a> {
    /// The account.
    pub registry_id: Option<&'a str>,
    /// The repository.
    pub repository_name: Option<&'a str>,
    /// The digest of the manifest.
    pub image_digest: Option<&'a str>,
    /// The tag.
    pub image_tag: Option<&'a str>,
    /// The manifest.
    pub image_manifest: Option<&'a str>,
    /// Its media type.
    pub image_manifest_media_type: Option<&'a str>,
}

impl Image<'_> {
    /// The answer that holds this image.
    pub fn to_answer(self) -> Value {
        let id = object([
            ("imageDigest", self.image_digest.map(Value::from)),
            ("imageTag", self.image_tag.map(Value::from)),
        ]);
        let image = object([
            ("registryId", self.registry_id.map(Value::from)),
            ("repositoryName", self.repository_name.map(Value::from)),
            ("imageId", Some(id)),
            ("imageManifest", self.image_manifest.map(Value::from)),
            (
                "imageManifestMediaType",
                self.image_manifest_media_type.map(Value::from),
            ),
        ]);
        object([("image", Some(image))])
    }
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let present = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

/// The digest that ECR computes of a manifest.
pub fn digest_of(manifest: &str) -> String {
    let hash = Sha256::digest(manifest.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// What an answer with an error status says, read as botocore reads it.
pub(super) fn service_error(status: u16, body: &[u8]) -> ServiceError {
    let text = String::from_utf8_lossy(body);
    let is_page = text.trim().is_empty() || text.trim_start().starts_with("<html>");
    let (code, message) = if status >= 500 && is_page {
        (None, http_reason(status).to_owned())
    } else {
        match serde_json::from_str::<Value>(&text) {
            Ok(body) => (code_of(&body), message_of(&body)),
            Err(_) => (None, text.into_owned()),
        }
    };
    ServiceError {
        code: code.unwrap_or_else(|| status.to_string()),
        message,
        retries: None,
    }
}

/// `com.amazonaws.ecr#ImageAlreadyExistsException:http://…` is `ImageAlreadyExistsException`.
fn code_of(body: &Value) -> Option<String> {
    let code = body.get("__type").or_else(|| body.get("code"))?.as_str()?;
    let code = code.split(':').next().unwrap_or(code);
    Some(code.rsplit('#').next().unwrap_or(code).to_owned())
}

fn message_of(body: &Value) -> String {
    let message = body.get("message").or_else(|| body.get("Message"));
    message.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn http_reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_the_order_of_the_model_and_absent_ones_are_left_out() {
        let image = Image {
            registry_id: Some("1"),
            image_digest: Some("sha256:0"),
            image_manifest: Some("{}"),
            ..Image::default()
        };
        assert_eq!(
            image.to_answer().to_string(),
            r#"{"image":{"registryId":"1","imageId":{"imageDigest":"sha256:0"},"imageManifest":"{}"}}"#
        );
    }

    #[test]
    fn errors_are_read_as_botocore_reads_them() {
        for (status, body, code, message) in [
            (
                400,
                r#"{"__type":"com.amazonaws.ecr#KmsException:http://x","message":"m"}"#,
                "KmsException",
                "m",
            ),
            (
                400,
                r#"{"__type":"InvalidParameterException","Message":"m"}"#,
                "InvalidParameterException",
                "m",
            ),
            (429, "", "429", ""),
            (400, "not json", "400", "not json"),
            (503, "", "503", "Service Unavailable"),
            (502, "<html>x</html>", "502", "Bad Gateway"),
            (500, r#"{"__type":"ServerException"}"#, "ServerException", ""),
        ] {
            let error = service_error(status, body.as_bytes());
            assert_eq!(
                (error.code.as_str(), error.message.as_str()),
                (code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        assert_eq!(
            digest_of(""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
