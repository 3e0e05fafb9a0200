//! The registries of a plan.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Check;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::model::{InvalidName, RegistryKey};
use crate::plan::file::RegistryFile;
use crate::plan::reader::{Entries, OneOrMany, Text};
use crate::plan::report::{did_you_mean, listed, quoted};
use crate::plan::{AssumeRole, Registry};

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
                None => Registry::default(),
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
        ] {
            if let (Some(text), None) = (text, &file.assume_role) {
                let problem = Diagnostic::error(
                    Code::NeedsOtherKey,
                    format!("`{name}` needs `assume_role` beside it"),
                );
                self.report.push(problem.at(text.span, ""));
            }
        }
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
        let is_role = |role: &str| role.starts_with("arn:") && role.contains(":role/");
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        let role_arn = self.looks_like(
            file.assume_role.as_ref(),
            is_role,
            "the ARN of a role, such as `arn:aws:iam::123456789012:role/retag`",
        );
        Registry {
            key,
            region: self.parse_optional(file.region.as_ref(), Code::InvalidRegistry),
            account: self.parse_optional(file.account.as_ref(), Code::InvalidRegistry),
            profile: text(&file.profile),
            assume_role: role_arn.map(|role_arn| AssumeRole {
                role_arn,
                external_id: text(&file.external_id),
                session_name: text(&file.session_name),
                duration_s: None,
            }),
            endpoint: self.looks_like(file.endpoint.as_ref(), is_url, "a URL, such as `https://…`"),
            put_image_per_second: file.put_image_per_second.map(|rate| rate.value),
        }
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
