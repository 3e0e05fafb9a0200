//! Whether the profiles that are named exist.

use aws_config::profile::ProfileSet;

use super::{Kind, RegistryError};

/// The SDK takes a profile that does not exist for an empty one.
#[expect(
    clippy::default_trait_access,
    reason = "the SDK does not export the types of these parameters"
)]
pub(super) async fn check_profile(profile: &str) -> Result<(), RegistryError> {
    let (fs, env, files) = (Default::default(), Default::default(), Default::default());
    let profiles = aws_config::profile::load(&fs, &env, &files, None)
        .await
        .map_err(|error| {
            RegistryError::new(
                Kind::Configuration,
                format!("the AWS configuration cannot be read: {error}"),
            )
        })?;
    let Some(found) = profiles.get_profile(profile) else {
        return Err(no_profile(profile, &profiles, ""));
    };
    match found.get("source_profile") {
        Some(source) if profiles.get_profile(source).is_none() => {
            let place = format!(", which `{profile}` has as its `source_profile`,");
            Err(no_profile(source, &profiles, &place))
        }
        _ => Ok(()),
    }
}

fn no_profile(profile: &str, profiles: &ProfileSet, place: &str) -> RegistryError {
    let similar = profiles
        .profiles()
        .map(|name| (strsim::damerau_levenshtein(name, profile), name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let help = match similar {
        Some((_, name)) => format!("is `{name}` meant?"),
        None => "`aws configure list-profiles` shows those that exist".to_owned(),
    };
    RegistryError::new(
        Kind::Configuration,
        format!("the profile `{profile}`{place} does not exist"),
    )
    .with_help(help)
}
