//! The question before anything is written.

use super::summary::place;
use crate::changeset::Changeset;

/// The answer that approves; no other does.
pub const APPROVAL: &str = "yes";

/// Asks whether to go on, naming every account and region that would be written to.
///
/// The text ends where the answer is typed. Reading it is up to the caller.
pub fn prompt_text(changeset: &Changeset) -> String {
    let places: Vec<String> = changeset.registries_to_change().map(place).collect();
    let places = match places.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "no registry".to_owned(),
    };
    format!(
        "Do you want to perform these actions in {places}?\n  Only '{APPROVAL}' will be accepted to approve.\n\n  Enter \
         a value: "
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{create, cutover, registry, two_regions};
    use super::*;

    #[test]
    fn the_prompt_names_account_and_region() {
        assert_eq!(
            prompt_text(&cutover()),
            "Do you want to perform these actions in 123456789012/eu-west-1?\n  Only 'yes' will be accepted to \
             approve.\n\n  Enter a value: "
        );
        let mut three = two_regions();
        three.registries.push(registry("unchanged", "us-west-2"));
        three.registries.push(registry("x", "sa-east-1"));
        three.changes.push(create("x@shop/api:1.8.0", "rc", "1.8.0-rc.3"));
        assert!(prompt_text(&three).starts_with(
            "Do you want to perform these actions in 123456789012/eu-west-1, 123456789012/us-east-1 and \
             123456789012/sa-east-1?\n"
        ));
    }
}
