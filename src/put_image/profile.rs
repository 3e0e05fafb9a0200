//! What the AWS CLI's configuration says about a command, beyond what the SDK reads of it.

use std::collections::BTreeMap;

use super::PutImageError;

/// The settings of one profile of `~/.aws/config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    settings: BTreeMap<&'static str, String>,
}

/// The settings that are looked at.
const NAMES: [&str; 6] = [
    "ca_bundle",
    "cli_auto_prompt",
    "max_attempts",
    "output",
    "region",
    "retry_mode",
];

impl Profile {
    /// Reads a profile; the default one if none is named, which need not exist.
    ///
    /// Fails if a profile that is named does not exist, or if the files cannot be read.
    #[expect(
        clippy::default_trait_access,
        reason = "the SDK does not export the types of these parameters"
    )]
    pub async fn load(name: Option<&str>) -> Result<Self, PutImageError> {
        let (fs, env, files) = (Default::default(), Default::default(), Default::default());
        let profiles = aws_config::profile::load(&fs, &env, &files, None)
            .await
            .map_err(|error| PutImageError::Other(format!("Unable to parse config file: {error}")))?;
        let Some(profile) = profiles.get_profile(name.unwrap_or("default")) else {
            return match name {
                Some(name) => Err(PutImageError::Other(format!(
                    "The config profile ({name}) could not be found"
                ))),
                None => Ok(Self::default()),
            };
        };
        let settings = NAMES
            .into_iter()
            .filter_map(|name| Some((name, profile.get(name)?.to_owned())));
        Ok(Self {
            settings: settings.collect(),
        })
    }

    /// A setting, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}
