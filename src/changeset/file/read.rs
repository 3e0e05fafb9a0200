//! A saved changeset as a changeset again.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    AccessRecord, ActionName, ChangeRecord, DiagnosticRecord, Document, Place, PositionRecord, SkippedRecord,
};
use crate::changeset::{Action, Change, Changeset, Reason, RegistryIdentity, SkipReason, Skipped, Unchanged};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::model::{Address, Digest, RegistryKey, RepositoryName, Tag};
use crate::plan::{Limits, PlanSource};

impl Document {
    /// The changeset that the document says; its digest is not compared.
    pub(super) fn read(&self) -> Result<Changeset, String> {
        let registries = self
            .registries
            .iter()
            .map(|record| {
                let access = record.access.as_ref().map(AccessRecord::read).transpose();
                Ok(RegistryIdentity {
                    key: parse(&record.name)?,
                    account: record.account.as_deref().map(parse).transpose()?,
                    region: record.region.as_deref().map(parse).transpose()?,
                    access: access?.unwrap_or_default(),
                })
            })
            .collect::<Result<Vec<RegistryIdentity>, String>>()?;
        let mut changes = Vec::new();
        let mut unchanged = Vec::new();
        let mut seen = BTreeSet::new();
        for record in &self.resource_changes {
            match read_change(record, &registries)
                .map_err(|what| format!("change `{}`: {what}", record.address.escape_debug()))?
            {
                Entry::Change(change) => {
                    if !seen.insert(change.address.clone()) {
                        return Err(format!("`{}` is there twice", record.address.escape_debug()));
                    }
                    changes.push(change);
                }
                Entry::Unchanged(entry) => unchanged.push(entry),
            }
        }
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        let diagnostics: Vec<Diagnostic> = self
            .diagnostics
            .iter()
            .filter_map(DiagnosticRecord::to_diagnostic)
            .collect();
        Ok(Changeset {
            name: self.name.clone(),
            created_at: self.created_at.as_deref().map(parse::<Timestamp>).transpose()?,
            sources: self
                .sources
                .iter()
                .map(|source| {
                    let digest = parse(&format!("sha256:{}", source.sha256))?;
                    Ok(PlanSource {
                        path: source.path.clone(),
                        digest,
                    })
                })
                .collect::<Result<_, String>>()?,
            variables: self.variables.clone(),
            registries,
            changes,
            unchanged,
            unchanged_count: self.summary.unchanged,
            skipped: self.skipped()?,
            limits: Limits {
                creates: self.limits.creates,
                moves: self.limits.moves,
                removes: self.limits.removes,
            },
            is_incomplete: self.errored && diagnostics.iter().all(|d| d.severity == Severity::Warning),
            diagnostics,
        })
    }

    fn skipped(&self) -> Result<Vec<Skipped>, String> {
        let is_qualified = self.registries.len() > 1;
        let sole = self.registries.first().map(|registry| registry.name.as_str());
        let read = |record: &SkippedRecord| {
            let (registry, rest) = match record.address.split_once('/') {
                Some(parts) if is_qualified => parts,
                _ => (sole.unwrap_or_default(), record.address.as_str()),
            };
            let (repository, tag) = rest.split_once(':').ok_or("it is no address")?;
            let address = Address {
                registry: parse(registry)?,
                repository: parse(repository)?,
                tag: parse(tag)?,
            };
            Ok(Skipped {
                address,
                rules: record.rules.clone(),
                why: SkipReason::from_words(&record.reason),
            })
        };
        let name = |record: &SkippedRecord| record.address.escape_debug().to_string();
        let skipped = self.skipped_changes.iter();
        skipped
            .map(|record| {
                read(record).map_err(|what: String| format!("skipped change `{}`: {what}", name(record)))
            })
            .collect()
    }
}

impl DiagnosticRecord {
    /// Reads a diagnostic back, its place in words since the plan file is not at hand; `None` for a kind that this
    /// program does not know.
    fn to_diagnostic(&self) -> Option<Diagnostic> {
        let code = Code::named(&self.code)?;
        let diagnostic = if self.severity == Severity::Warning.as_str() {
            Diagnostic::warning(code, self.summary.as_str())
        } else {
            Diagnostic::error(code, self.summary.as_str())
        };
        let place = self.range.as_ref().map(|range| {
            let PositionRecord { line, column, .. } = range.start;
            format!("{}:{line}:{column}", range.filename)
        });
        let detail = self.detail.iter().flat_map(|detail| detail.lines());
        let lines: Vec<String> = place
            .into_iter()
            .chain(detail.map(|line| line.trim_start_matches("help: ").to_owned()))
            .collect();
        Some(if lines.is_empty() {
            diagnostic
        } else {
            diagnostic.help(lines.join("; "))
        })
    }
}

enum Entry {
    Change(Change),
    Unchanged(Unchanged),
}

fn read_change(record: &ChangeRecord, registries: &[RegistryIdentity]) -> Result<Entry, String> {
    let address = Address {
        registry: parse::<RegistryKey>(&record.registry)?,
        repository: parse::<RepositoryName>(&record.repository)?,
        tag: parse::<Tag>(&record.tag)?,
    };
    let is_known = |registry: &&RegistryIdentity| {
        registry.key == address.registry && registry.account.is_some() && registry.region.is_some()
    };
    if registries.iter().find(is_known).is_none() {
        return Err(format!(
            "registry `{}` is not one of the file's, or without account or region",
            address.registry
        ));
    }
    let is_qualified = registries.len() > 1;
    if address.to_text(is_qualified) != record.address {
        return Err("the address is not that of its registry, repository and tag".to_owned());
    }
    let digest = |place: &Option<Place>| {
        place
            .as_ref()
            .map(|place| parse::<Digest>(&place.digest))
            .transpose()
    };
    let (before, after) = (digest(&record.change.before)?, digest(&record.change.after)?);
    let action = match (record.change.actions.as_slice(), before, after) {
        ([ActionName::Create], None, Some(after)) => Action::Create { after },
        ([ActionName::Update], Some(before), Some(after)) if before != after => {
            Action::Move { before, after }
        }
        ([ActionName::Delete], Some(before), None) => Action::Remove { before },
        ([ActionName::NoOp], before, after) if before == after => {
            return Ok(Entry::Unchanged(Unchanged {
                address,
                digest: after,
                rules: record.rules.clone(),
            }));
        }
        _ => return Err("`actions` do not fit `before` and `after`".to_owned()),
    };
    let prefix = record
        .address
        .strip_suffix(record.tag.as_str())
        .unwrap_or_default();
    let neighbours = |addresses: &[String]| {
        addresses
            .iter()
            .map(|address| {
                parse(
                    address
                        .strip_prefix(prefix)
                        .ok_or("it refers to a tag of another repository")?,
                )
            })
            .collect::<Result<Vec<Tag>, String>>()
    };
    Ok(Entry::Change(Change {
        address,
        action,
        stage: record.stage,
        wave: record.wave,
        rules: record.rules.clone(),
        source: record.source_tag.as_deref().map(parse::<Tag>).transpose()?,
        requires: neighbours(&record.requires)?,
        backup_of: neighbours(&record.backup_of)?,
        reason: Reason::Saved(record.action_reason.clone()),
        is_reversible: record.reversible,
    }))
}

pub(super) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}
