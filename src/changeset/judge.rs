//! What becomes of one wish: the tag is right already, changes, stays by a policy, or something stands in the way.

use super::Action;
use super::SkipReason;
use super::pick;
use super::plan::Planner;
use super::wish::Wish;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Digest, Tag};
use crate::plan::{Expected, OnExisting, OnProtected};

/// What becomes of a wish.
pub(super) enum Verdict {
    Unchanged,
    Change(Action),
    Skip(SkipReason),
    Broken,
}

impl Planner<'_> {
    /// Decides what becomes of a wish; says why it cannot be granted only if `is_final`.
    pub(super) fn judge(&mut self, target: &Tag, wish: &Wish<'_>, is_final: bool) -> Verdict {
        let before = self.input.digest_of(target);
        if before == Some(wish.digest) {
            return Verdict::Unchanged;
        }
        let mut problems = Vec::new();
        let verdict = self.judge_change(target, wish, before, &mut problems);
        if is_final {
            self.diagnostics.extend(problems);
        }
        verdict
    }

    fn judge_change(
        &self,
        target: &Tag,
        wish: &Wish<'_>,
        before: Option<Digest>,
        problems: &mut Vec<Diagnostic>,
    ) -> Verdict {
        let repository = &self.input.inventory.repository;
        let mut is_broken = false;
        if self.input.inventory.is_archived(wish.digest) {
            is_broken = true;
            let message = format!("`{repository}:{target}` would be put on an archived image");
            problems.push(
                point(wish, Diagnostic::error(Code::ArchivedSource, message))
                    .help("restore the image first: its manifest cannot be read while it is archived"),
            );
        }
        if let Some(before) = before {
            if let Some(why) = self.holds_still(target, wish, before, problems) {
                return Verdict::Skip(why);
            }
            if wish
                .requests
                .iter()
                .any(|r| r.candidate.is_some() && r.rule.on_existing == OnExisting::Fail)
            {
                is_broken = true;
                let message = format!(
                    "`{repository}:{target}` exists already, on sha256:{}",
                    before.short()
                );
                problems.push(
                    point(wish, Diagnostic::error(Code::TargetExists, message))
                        .help("set `on_existing: move` to move it, or `keep` to leave it where it is"),
                );
            }
            if self.input.is_protected(target) {
                match self.input.plan.policy.on_protected {
                    OnProtected::Skip => return Verdict::Skip(SkipReason::Protected),
                    OnProtected::Fail => {
                        is_broken = true;
                        problems.push(point(wish, protected(&format!("{repository}:{target}"), "moved")));
                    }
                }
            }
            if self.input.inventory.mutability.is_immutable(target) {
                is_broken = true;
                let message = format!(
                    "`{repository}:{target}` is immutable and on sha256:{}, not on sha256:{}",
                    before.short(),
                    wish.digest.short()
                );
                problems
                    .push(point(wish, Diagnostic::error(Code::ImmutableTag, message)).help(
                        "choose another target, or exclude the tag from the repository's immutability",
                    ));
            }
        }
        is_broken |= self.breaks_an_expectation(target, wish, before, problems);
        if is_broken {
            return Verdict::Broken;
        }
        Verdict::Change(match before {
            None => Action::Create { after: wish.digest },
            Some(before) => Action::Move {
                before,
                after: wish.digest,
            },
        })
    }

    /// Why an existing target stays where it is, if no rule would move it.
    fn holds_still(
        &self,
        target: &Tag,
        wish: &Wish<'_>,
        before: Digest,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<SkipReason> {
        let mut why = None;
        let mut doubts = Vec::new();
        for request in &wish.requests {
            let Some(candidate) = &request.candidate else {
                return None;
            };
            match request.rule.on_existing {
                OnExisting::Move | OnExisting::Fail => return None,
                OnExisting::Keep => why = Some(SkipReason::Kept),
                OnExisting::Advance => {
                    match pick::is_ahead(request.rule, candidate, before, &self.input) {
                        pick::Advance::Ahead => return None,
                        pick::Advance::Behind => {}
                        pick::Advance::Unclear(doubt) => {
                            let message =
                                format!("`{}:{target}` is kept: {doubt}", self.input.inventory.repository);
                            let warning = Diagnostic::warning(Code::AdvanceUnclear, message)
                                .at(request.span, format!("rule `{}`", request.rule.name));
                            doubts.push(warning);
                        }
                    }
                    why.get_or_insert(SkipReason::NotAhead);
                }
            }
        }
        problems.extend(doubts);
        why
    }

    fn breaks_an_expectation(
        &self,
        target: &Tag,
        wish: &Wish<'_>,
        before: Option<Digest>,
        problems: &mut Vec<Diagnostic>,
    ) -> bool {
        let repository = &self.input.inventory.repository;
        let shown = |digest: Option<Digest>| {
            digest.map_or_else(
                || "absent".to_owned(),
                |digest| format!("on sha256:{}", digest.short()),
            )
        };
        let mut is_broken = false;
        for request in wish.requests.iter().filter(|request| request.candidate.is_some()) {
            for expect in request
                .rule
                .expect
                .iter()
                .filter(|expect| expect.target == *target)
            {
                let (holds, expected) = match &expect.place {
                    Expected::Absent => (before.is_none(), "absent".to_owned()),
                    Expected::Digest(digest) => (before == Some(*digest), shown(Some(*digest))),
                    Expected::Tag(tag) => {
                        let digest = self.input.digest_of(tag);
                        (
                            digest.is_some() && before == digest,
                            format!("on the image of `{tag}`, which is {}", shown(digest)),
                        )
                    }
                };
                if !holds {
                    is_broken = true;
                    let message = format!(
                        "`{repository}:{target}` should be {expected}, and is {}",
                        shown(before)
                    );
                    problems.push(
                        Diagnostic::refusal(Code::ExpectationFailed, message)
                            .at(expect.span, format!("rule `{}` expects this", request.rule.name))
                            .help("find out who moved the tag; then correct `expect` or the registry"),
                    );
                }
            }
        }
        is_broken
    }
}

fn point(wish: &Wish<'_>, diagnostic: Diagnostic) -> Diagnostic {
    wish.requests.iter().fold(diagnostic, |diagnostic, request| {
        diagnostic.at(
            request.span,
            format!("rule `{}` ({})", request.rule.name, wish.reason),
        )
    })
}

pub(super) fn protected(address: &str, what: &str) -> Diagnostic {
    Diagnostic::refusal(
        Code::ProtectedTag,
        format!("`{address}` is protected and would be {what}"),
    )
    .help("take the tag out of `policy.protect`, or set `on_protected: skip`")
}
