//! ECR's answer to `PutImage`, as JSON in the order of ECR's API model.

use serde_json::{Map, Value};

use super::ServiceError;

/// The image of an answer; what is absent is not printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Image<'a> {
    /// The account.
    pub(super) account: Option<&'a str>,
    /// The repository.
    pub(super) repository: Option<&'a str>,
    /// The digest of the manifest.
    pub(super) digest: Option<&'a str>,
    /// The tag.
    pub(super) tag: Option<&'a str>,
    /// The manifest.
    pub(super) manifest: Option<&'a str>,
    /// Its media type.
    pub(super) media_type: Option<&'a str>,
}

impl Image<'_> {
    /// The answer that holds this image.
    pub(super) fn to_answer(self) -> Value {
        let id = object([
            ("imageDigest", self.digest.map(Value::from)),
            ("imageTag", self.tag.map(Value::from)),
        ]);
        let image = object([
            ("registryId", self.account.map(Value::from)),
            ("repositoryName", self.repository.map(Value::from)),
            ("imageId", Some(id)),
            ("imageManifest", self.manifest.map(Value::from)),
            ("imageManifestMediaType", self.media_type.map(Value::from)),
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
            account: Some("1"),
            digest: Some("sha256:0"),
            manifest: Some("{}"),
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
}
