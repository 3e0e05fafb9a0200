//! The question before anything is written.

use super::summary::place;
use crate::changeset::RegistryIdentity;

/// The answer that approves; no other does.
pub const APPROVAL: &str = "yes";

/// Asks whether to go on, naming every account and region that would be written to.
///
/// The text ends where the answer is typed. Reading it is up to the caller.
pub fn prompt_text(registries: &[RegistryIdentity]) -> String {
    let places: Vec<String> = registries.iter().map(place).collect();
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
    use super::super::fixture::registry;
    use super::*;

    #[test]
    fn the_prompt_names_account_and_region() {
        assert_eq!(
            prompt_text(&[registry("default", "eu-west-1")]),
            "Do you want to perform these actions in 123456789012/eu-west-1?\n  Only 'yes' will be accepted to \
             approve.\n\n  Enter a value: "
        );
        let three = [
            registry("a", "eu-west-1"),
            registry("b", "eu-west-2"),
            registry("c", "us-east-1"),
        ];
        assert!(prompt_text(&three).starts_with(
            "Do you want to perform these actions in 123456789012/eu-west-1, 123456789012/eu-west-2 and \
             123456789012/us-east-1?\n"
        ));
    }
}
