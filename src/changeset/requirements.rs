//! What changes need of each other: order, and that none is made without what it requires.

use std::collections::{BTreeMap, BTreeSet};

use super::SkipReason;
use super::plan::{Planned, Planner};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Digest, Tag};

impl Planner<'_> {
    /// What a change requires comes no later than the change, whatever the stages of the rules behind it.
    pub(super) fn align_stages(&mut self) {
        let mut latest: Vec<(Tag, u32)> = self
            .changes
            .values()
            .filter(|planned| !planned.action.is_removal())
            .flat_map(|planned| planned.requires.iter().map(|tag| (tag.clone(), planned.stage)))
            .collect();
        while let Some((tag, stage)) = latest.pop() {
            if let Some(required) = self.changes.get_mut(&tag)
                && required.stage > stage
            {
                required.stage = stage;
                latest.extend(required.requires.iter().map(|tag| (tag.clone(), stage)));
            }
        }
    }

    /// Whether the tag will be on the image once this plan is carried out.
    fn will_be_on(&self, tag: &Tag, digest: Digest) -> bool {
        match self.changes.get(tag) {
            Some(planned) => planned.action.after() == Some(digest),
            None => self.input.digest_of(tag) == Some(digest),
        }
    }

    /// Leaves out every change whose requirements are not met, until none is left to leave out.
    pub(super) fn leave_out_what_lacks_its_requirements(&mut self) {
        loop {
            let lacking: Vec<(Tag, SkipReason)> = self
                .changes
                .iter()
                .filter_map(|(tag, planned)| Some((tag.clone(), self.lacks(planned)?)))
                .collect();
            if lacking.is_empty() {
                return;
            }
            for (tag, why) in lacking {
                if let Some(planned) = self.changes.remove(&tag) {
                    let rules = planned.requests.iter().map(|request| request.rule).collect();
                    self.skipped.insert(tag, (rules, why));
                }
            }
        }
    }

    fn lacks(&self, planned: &Planned<'_>) -> Option<SkipReason> {
        if let Some(before) = planned.action.before()
            && let Some(tag) = planned.requires.iter().find(|tag| !self.will_be_on(tag, before))
        {
            return Some(SkipReason::Requires(tag.clone()));
        }
        let is_needless = !planned.backup_of.is_empty()
            && !planned
                .backup_of
                .iter()
                .any(|moved| self.changes.contains_key(moved));
        if is_needless {
            return planned.backup_of.first().cloned().map(SkipReason::BackupOf);
        }
        None
    }

    /// Two moves that are each other's backups can be made in no order.
    pub(super) fn refuse_circles(&mut self) {
        if self.changes.values().all(|planned| planned.requires.is_empty()) {
            return;
        }
        let mut open: BTreeMap<&Tag, BTreeSet<&Tag>> = self
            .changes
            .iter()
            .map(|(tag, planned)| (tag, planned.requires.iter().collect::<BTreeSet<_>>()))
            .collect();
        loop {
            let done: BTreeSet<&Tag> = open
                .iter()
                .filter(|(_, requires)| !requires.iter().any(|tag| open.contains_key(*tag)))
                .map(|(tag, _)| *tag)
                .collect();
            if done.is_empty() {
                break;
            }
            open.retain(|tag, _| !done.contains(*tag));
        }
        let circle: Vec<Tag> = open.into_keys().cloned().collect();
        for tag in circle {
            let Some(planned) = self.changes.remove(&tag) else {
                continue;
            };
            let message = format!(
                "`{}:{tag}` and its backup wait for each other",
                self.input.inventory.repository
            );
            let mut diagnostic = Diagnostic::error(Code::CircularBackup, message)
                .help("take one of the tags out of `backup`, or use two stages");
            for request in &planned.requests {
                diagnostic = diagnostic.at(request.span, format!("rule `{}`", request.rule.name));
            }
            self.diagnostics.push(diagnostic);
        }
    }
}
