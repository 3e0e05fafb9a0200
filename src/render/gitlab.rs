//! What GitLab shows of a plan in a merge request.

use crate::changeset::{Changeset, Counts};

/// The report for `artifacts:reports:terraform`: how many tags are created, moved and removed.
pub fn gitlab_report(changeset: &Changeset) -> String {
    let Counts {
        creates,
        moves,
        removes,
    } = Counts::of(&changeset.changes);
    format!("{{\"create\":{creates},\"update\":{moves},\"delete\":{removes}}}\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_report_has_the_three_counts() {
        assert_eq!(
            gitlab_report(&fixture::cutover()),
            "{\"create\":1,\"update\":1,\"delete\":1}\n"
        );
    }
}
