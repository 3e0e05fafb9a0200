//! What has become of a changeset since it was reviewed.

use super::text::push;
use crate::changeset::{Action, Changeset, Difference};
use crate::model::Digest;

/// Differences that are listed.
const LISTED_MAX: usize = 20;

/// Lists what a changeset does otherwise than the one that was reviewed, a line each.
pub fn differences_text(differences: &[Difference], changeset: &Changeset) -> String {
    let is_qualified = changeset.is_qualified();
    let mut out = String::new();
    for difference in differences.iter().take(LISTED_MAX) {
        let address = difference.address.to_text(is_qualified);
        let (earlier, later) = (doing(difference.earlier), doing(difference.later));
        push(
            &mut out,
            format_args!("  {address}: reviewed {earlier}, now {later}\n"),
        );
    }
    if let Some(more) = differences.len().checked_sub(LISTED_MAX).filter(|more| *more > 0) {
        push(&mut out, format_args!("  … and {more} more\n"));
    }
    if differences.is_empty() {
        out.push_str("  the same changes with other stages, requirements or limits\n");
    }
    out
}

fn doing(action: Option<Action>) -> String {
    let short = |digest: Digest| format!("sha256:{}", digest.short());
    match action {
        None => "not changed".to_owned(),
        Some(Action::Create { after }) => format!("created on {}", short(after)),
        Some(Action::Move { before, after }) => format!("moved {} -> {}", short(before), short(after)),
        Some(Action::Remove { before }) => format!("removed from {}", short(before)),
    }
}
