//! Opaque tokens: a position in a list, bound to the list it was given out for.

use std::fmt::Write as _;

use crate::model::Digest;

const FINGERPRINT_CHARS: usize = 12;

/// The token for a position in the list that `scope` names.
pub(super) fn seal(scope: &str, position: &str) -> String {
    let mut token = fingerprint(scope, position);
    for byte in position.bytes() {
        // Writing to a string can not fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// The position of a token; `None` if it was not given out for this list.
pub(super) fn unseal(scope: &str, token: &str) -> Option<String> {
    let (given, hex) = token.split_at_checked(FINGERPRINT_CHARS)?;
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let position = String::from_utf8(bytes?).ok()?;
    (rest.is_empty() && given == fingerprint(scope, &position)).then_some(position)
}

fn fingerprint(scope: &str, position: &str) -> String {
    Digest::of(format!("{scope}\n{position}").as_bytes()).short()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_list_only() {
        let token = seal("ListImages shop/api", "7 1.8.0");
        assert_eq!(unseal("ListImages shop/api", &token).as_deref(), Some("7 1.8.0"));
        assert_eq!(unseal("ListImages shop/web", &token), None);
        for bad in ["", "é", "zz", "0123456789abzz", &token[1..], &format!("{token}0")] {
            assert_eq!(unseal("ListImages shop/api", bad), None, "{bad}");
        }
    }
}
