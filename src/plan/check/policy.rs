//! What a plan may not do: the policies of all files, united.

use std::collections::BTreeMap;

use super::Check;
use crate::diagnostic::{Code, Span};
use crate::model::Tag;
use crate::plan::file::PolicyFile;
use crate::plan::glob::{self, Glob};
use crate::plan::reader::{OneOrMany, Spanned, Text};
use crate::plan::{Limits, OnProtected, Policy};

impl Check<'_> {
    /// Unites policies: all protected tags, the smallest of each limit, and `fail` before `skip`.
    pub(super) fn policy<'f>(&mut self, files: impl Iterator<Item = &'f PolicyFile>) -> Policy {
        let mut policy = Policy::default();
        let mut on_protected = Vec::new();
        for file in files {
            if let Some(OneOrMany(protect)) = &file.protect {
                policy
                    .protect
                    .extend(protect.iter().filter_map(|text| self.tag_glob(text)));
                // A file that protects tags and does not say how means the default.
                on_protected.push(file.on_protected.map_or(OnProtected::Fail, |word| word.value));
            } else {
                on_protected.extend(file.on_protected.map(|word| word.value));
            }
            let Limits {
                creates,
                moves,
                removes,
            } = &mut policy.limits;
            for (key, limit, own) in [
                ("max_creates", creates, file.max_creates),
                ("max_moves", moves, file.max_moves),
                ("max_removes", removes, file.max_removes),
            ] {
                lower(limit, own, key, &mut policy.limit_spans);
            }
        }
        if !on_protected.is_empty() && on_protected.iter().all(|word| *word == OnProtected::Skip) {
            policy.on_protected = OnProtected::Skip;
        }
        policy
    }

    /// A tag, or a pattern for tags.
    pub(super) fn tag_glob(&mut self, text: &Text) -> Option<Glob> {
        let filled = self.fill(text)?;
        let pattern = if filled.is_glob() {
            filled.into_pattern(glob::escape)
        } else {
            let tag: Tag = self.parse_at(&filled.into_text(), text.span, Code::InvalidTag)?;
            glob::escape(tag.as_str())
        };
        self.report.keep(Glob::new(pattern, text.span))
    }
}

fn lower(
    limit: &mut Option<u64>,
    own: Option<Spanned<u64>>,
    key: &'static str,
    spans: &mut BTreeMap<&'static str, Span>,
) {
    let Some(own) = own else {
        return;
    };
    if limit.is_none_or(|limit| own.value < limit) {
        *limit = Some(own.value);
        spans.insert(key, own.span);
    }
}
