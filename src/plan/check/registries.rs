//! The registries of a plan.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::SignedDuration;

use super::Check;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::model::{InvalidName, RegistryKey};
use crate::plan::file::RegistryFile;
use crate::plan::reader::{Entries, OneOrMany, Text};
use crate::plan::report::{did_you_mean, listed, quoted};
use crate::plan::{Access, AssumeRole, Registry};

impl Check<'_> {
    /// The registries that the files declare, sorted by name; `default` if there are none.
    pub(super) fn registries<'f>(
        &mut self,
        files: impl Iterator<Item = &'f Entries<RegistryFile>>,
    ) -> Vec<Registry> {
        let mut declared: BTreeMap<RegistryKey, (Span, Registry)> = BTreeMap::new();
        for (name, file) in files.flat_map(|entries| &entries.0) {
            let Some(key) = self.parse::<RegistryKey>(name, Code::InvalidRegistry) else {
                continue;
            };
            let registry = match file {
                Some(file) => self.registry(key.clone(), file),
                None => Registry {
                    key: key.clone(),
                    ..Registry::default()
                },
            };
            match declared.get(&key) {
                Some((_, first)) if *first == registry => {}
                Some((first, _)) => {
                    let problem = Diagnostic::error(
                        Code::RegistryConflict,
                        format!("the registry `{key}` is declared in two ways"),
                    );
                    self.report.push(
                        problem
                            .at(name.span, "here")
                            .at(*first, "and differently here")
                            .help("several plan files are one plan: declare it equally, or in one of them"),
                    );
                }
                None => {
                    declared.insert(key, (name.span, registry));
                }
            }
        }
        if declared.is_empty() {
            declared.insert(RegistryKey::default(), (Span::default(), Registry::default()));
        }
        self.registries = declared.keys().cloned().collect();
        declared.into_values().map(|(_, registry)| registry).collect()
    }

    fn registry(&mut self, key: RegistryKey, file: &RegistryFile) -> Registry {
        for (name, text) in [
            ("external_id", &file.external_id),
            ("session_name", &file.session_name),
            ("duration", &file.duration),
        ] {
            if let (Some(text), None) = (text, &file.assume_role) {
                let problem = Diagnostic::error(
                    Code::NeedsOtherKey,
                    format!("`{name}` needs `assume_role` beside it"),
                );
                self.report.push(problem.at(text.span, ""));
            }
        }
        let is_role = |role: &str| {
            role.starts_with("arn:") && role.contains(":role/") && role.chars().all(|c| c.is_ascii_graphic())
        };
        let role_arn = self.looks_like(
            file.assume_role.as_ref(),
            is_role,
            "the ARN of a role, such as `arn:aws:iam::123456789012:role/retag`",
        );
        let external_id = self.looks_like(
            file.external_id.as_ref(),
            |id| is_made_of(id, 2..=1224, "_=,.@-+:/"),
            "an external id: 2 to 1224 letters, digits and `_=,.@-+:/`",
        );
        let session_name = self.looks_like(
            file.session_name.as_ref(),
            |name| is_made_of(name, 2..=64, "_=,.@-+"),
            "the name of a session: 2 to 64 letters, digits and `_=,.@-+`",
        );
        let duration_s = file.duration.as_ref().and_then(|text| self.duration_s(text));
        let access = Access {
            region: self.parse_optional(file.region.as_ref(), Code::InvalidRegistry),
            account: self.parse_optional(file.account.as_ref(), Code::InvalidRegistry),
            profile: self.looks_like(
                file.profile.as_ref(),
                |name| !name.is_empty() && !name.contains(char::is_control),
                "the name of a profile",
            ),
            assume_role: role_arn.map(|role_arn| AssumeRole {
                role_arn,
                external_id,
                session_name,
                duration_s,
            }),
            endpoint: self.endpoint(file.endpoint.as_ref()),
            put_image_per_second: file.put_image_per_second.map(|rate| rate.value),
        };
        Registry { key, access }
    }

    fn endpoint(&mut self, text: Option<&Text>) -> Option<String> {
        let text = text?;
        if text.text.contains('@') {
            // Not quoted: it may hold a password.
            let problem = Diagnostic::error(
                Code::InvalidValue,
                "an endpoint takes no user name and no password",
            );
            self.report.push(problem.at(text.span, ""));
            return None;
        }
        self.looks_like(Some(text), is_url, "a URL, such as `https://…`")
    }

    /// How long a role's credentials last: what STS allows (API reference, `AssumeRole`, `DurationSeconds`).
    fn duration_s(&mut self, text: &Text) -> Option<u32> {
        let span = text.text.parse::<SignedDuration>().ok();
        let duration_s = span.and_then(|span| u32::try_from(span.as_secs()).ok());
        let duration_s = duration_s.filter(|duration_s| (900..=43_200).contains(duration_s));
        if duration_s.is_none() {
            let problem = Diagnostic::error(
                Code::InvalidValue,
                format!("{} is not how long a role can be taken on", quoted(&text.text)),
            );
            self.report.push(
                problem
                    .at(text.span, "")
                    .help("write a span from `15m` to `12h`; a role that a role takes on lasts `1h` at most"),
            );
        }
        duration_s
    }

    fn looks_like(
        &mut self,
        text: Option<&Text>,
        is_one: impl Fn(&str) -> bool,
        noun: &str,
    ) -> Option<String> {
        let text = text?;
        if is_one(&text.text) {
            return Some(text.text.clone());
        }
        let problem = Diagnostic::error(
            Code::InvalidValue,
            format!("{} is not {noun}", quoted(&text.text)),
        );
        self.report.push(problem.at(text.span, ""));
        None
    }

    /// The registries that a rule names, sorted; all if it names none.
    pub(super) fn registries_of(&mut self, named: Option<&OneOrMany<Text>>) -> Vec<RegistryKey> {
        let Some(OneOrMany(named)) = named else {
            return self.registries.iter().cloned().collect();
        };
        let mut keys = Vec::new();
        for name in named {
            if let Some(key) = self.registries.get(name.text.as_str()) {
                keys.push(key.clone());
                continue;
            }
            let known = || self.registries.iter().map(RegistryKey::as_str);
            let problem = Diagnostic::error(
                Code::UnknownRegistry,
                format!("no registry is called {}", quoted(&name.text)),
            )
            .at(name.span, "")
            .help(did_you_mean(
                &name.text,
                known(),
                format!("there are {}", listed(known())),
            ));
            self.report.push(problem);
        }
        keys.sort();
        keys.dedup();
        keys
    }

    fn parse_optional<T: FromStr<Err = InvalidName>>(
        &mut self,
        text: Option<&Text>,
        code: Code,
    ) -> Option<T> {
        text.and_then(|text| self.parse(text, code))
    }

    /// A name that follows its grammar; else it is reported under this code.
    pub(super) fn parse<T: FromStr<Err = InvalidName>>(&mut self, text: &Text, code: Code) -> Option<T> {
        self.parse_at(&text.text, text.span, code)
    }

    /// The same for a text that variables were filled into.
    pub(super) fn parse_at<T: FromStr<Err = InvalidName>>(
        &mut self,
        text: &str,
        span: Span,
        code: Code,
    ) -> Option<T> {
        let parsed = text.parse();
        let result = parsed.map_err(|invalid: InvalidName| {
            let message = format!(
                "{} is no valid {}: {}",
                quoted(text),
                invalid.noun,
                invalid.reason
            );
            Diagnostic::error(code, message).at(span, "")
        });
        self.report.keep(result)
    }
}

/// Whether a text has so many bytes, all of them ASCII letters, digits or of `others`.
fn is_made_of(text: &str, len: RangeInclusive<usize>, others: &str) -> bool {
    len.contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic()))
}
