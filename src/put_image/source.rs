//! Option values that name a file: `file://` for text, `fileb://` for bytes as they are.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::PutImageError;

/// Where option values come from that name a file.
pub struct Source<'a> {
    /// Reads a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// What `~` and `$NAME` in paths stand for.
    pub variables: &'a BTreeMap<String, String>,
}

/// What an option says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text itself, or that of the file.
    pub text: String,
    /// The file whose line ends were changed: it has another digest than the text.
    pub changed_file: Option<String>,
}

impl Source<'_> {
    /// Follows a value that names a file; any other is the text itself.
    ///
    /// `file://` is read as Python reads text: CRLF and CR become LF. `fileb://` keeps every byte. Fails if the file
    /// cannot be read, or is not UTF-8.
    pub fn follow(&self, option: &str, value: &str) -> Result<Text, PutImageError> {
        let (path, is_text) = if let Some(path) = value.strip_prefix("file://") {
            (path, true)
        } else if let Some(path) = value.strip_prefix("fileb://") {
            (path, false)
        } else {
            let text = value.to_owned();
            return Ok(Text {
                text,
                changed_file: None,
            });
        };
        let path = expand(path, self.variables);
        let bytes = (self.read)(Path::new(&path)).map_err(|error| {
            let why = python_error(&error);
            PutImageError::parameter(
                option,
                format!("Unable to load paramfile {value}: {why}: '{path}'"),
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let why = if is_text {
                "text contents could not be decoded.  If this is a binary file, please use the fileb:// prefix instead \
                 of the file:// prefix."
            } else {
                "a manifest is UTF-8."
            };
            PutImageError::parameter(option, format!("Unable to load paramfile ({path}), {why}"))
        })?;
        if is_text && text.contains('\r') {
            let text = text.replace("\r\n", "\n").replace('\r', "\n");
            let changed_file = Some(path);
            return Ok(Text { text, changed_file });
        }
        Ok(Text {
            text,
            changed_file: None,
        })
    }
}

/// What Python says of the same error.
fn python_error(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let suffix = format!(" (os error {number})");
            format!("[Errno {number}] {}", text.strip_suffix(&suffix).unwrap_or(&text))
        }
        None => text,
    }
}

/// A path with `~`, `$NAME` and `${NAME}` resolved; an unknown variable stays as it is written.
fn expand(path: &str, variables: &BTreeMap<String, String>) -> String {
    let path = match (path.strip_prefix('~'), variables.get("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    };
    let mut expanded = String::new();
    let mut rest = path.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, remaining) = variable(after);
        if let Some(value) = name.and_then(|name| variables.get(name)) {
            expanded.push_str(value);
        } else {
            expanded.push('$');
            let written = after.len() - remaining.len();
            expanded.push_str(after.get(..written).unwrap_or_default());
        }
        rest = remaining;
    }
    expanded + rest
}

/// The variable's name at the beginning of a text that follows `$`, and what comes after it.
fn variable(after: &str) -> (Option<&str>, &str) {
    if let Some((name, remaining)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return (Some(name), remaining);
    }
    let end = after
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(after.len());
    let (name, remaining) = after.split_at(end);
    (Some(name).filter(|name| !name.is_empty()), remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(value: &str) -> Result<Text, PutImageError> {
        let read = |path: &Path| match path.to_str() {
            Some("/home/me/m.json") => Ok(b"{\r\n}\r".to_vec()),
            Some("unix.json") => Ok("é\n".as_bytes().to_vec()),
            Some("bad") => Ok(vec![0xff]),
            _ => Err(io::Error::from_raw_os_error(2)),
        };
        let variables = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
        let source = Source {
            read: &read,
            variables: &variables,
        };
        source.follow("--image-manifest", value)
    }

    #[test]
    fn text_files_get_unix_line_ends_and_say_so() {
        for path in ["~/m.json", "$HOME/m.json", "${HOME}/m.json"] {
            let text = follow(&format!("file://{path}")).unwrap();
            assert_eq!(text.text, "{\n}\n");
            assert_eq!(text.changed_file.as_deref(), Some("/home/me/m.json"));
            let bytes = follow(&format!("fileb://{path}")).unwrap();
            assert_eq!((bytes.text.as_str(), bytes.changed_file), ("{\r\n}\r", None));
        }
        let kept = Text {
            text: "é\n".to_owned(),
            changed_file: None,
        };
        assert_eq!(follow("file://unix.json").unwrap(), kept);
        assert_eq!(follow("{\r\n}").unwrap().text, "{\r\n}");
    }

    #[test]
    fn what_cannot_be_read_is_told_as_the_aws_cli_tells_it() {
        assert_eq!(
            follow("file:///$NO/pe").unwrap_err().to_string(),
            "Error parsing parameter '--image-manifest': Unable to load paramfile file:///$NO/pe: [Errno 2] No such \
             file or directory: '/$NO/pe'"
        );
        assert!(
            follow("file://bad")
                .unwrap_err()
                .to_string()
                .contains("(bad), text contents could")
        );
        assert!(follow("fileb://bad").is_err());
    }
}
