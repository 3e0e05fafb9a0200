//! Reads the members of a request as the API model constrains them.

use serde_json::{Map, Value};

use super::error::ErrorAnswer;
use super::page;
use crate::model::{AccountId, Digest, Mutability, RepositoryName, Tag};

/// The most ids, names and accepted media types in one request (API model).
pub(super) const ITEMS_MAX: usize = 100;
const PAGE_ENTRIES: usize = 100;
const PAGE_ENTRIES_MAX: u64 = 1000;

pub(super) type Read<T> = Result<T, ErrorAnswer>;

/// The members of a request.
#[derive(Clone, Copy)]
pub(super) struct Request<'a>(&'a Map<String, Value>);

/// An image as a request names it: the texts are as they came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ImageId {
    pub digest: Option<String>,
    pub tag: Option<String>,
}

/// Which images a list shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    pub tag_status: TagStatus,
    pub image_status: ImageStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagStatus {
    Tagged,
    Untagged,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageStatus {
    Active,
    Archived,
    Activating,
    Any,
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub(super) struct Page {
    pub entries_max: usize,
    pub token: Option<String>,
    is_given: bool,
}

impl<'a> Request<'a> {
    pub(super) fn new(request: &'a Value) -> Read<Self> {
        match request {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(wrong_type()),
        }
    }

    fn member(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Read<Option<&'a str>> {
        self.member(name)
            .map(|value| value.as_str().ok_or_else(wrong_type))
            .transpose()
    }

    pub(super) fn required_text(self, name: &str) -> Read<&'a str> {
        self.text(name)?.ok_or_else(|| must_not_be_null(name))
    }

    pub(super) fn flag(self, name: &str) -> Read<bool> {
        self.member(name)
            .map_or(Ok(false), |value| value.as_bool().ok_or_else(wrong_type))
    }

    /// A list of 1 to 100 items, if it is there.
    pub(super) fn list(self, name: &str) -> Read<Option<&'a [Value]>> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let items = value.as_array().ok_or_else(wrong_type)?;
        match items.len() {
            0 => Err(ErrorAnswer::invalid(
                name,
                "Member must have length greater than or equal to 1",
            )),
            1..=ITEMS_MAX => Ok(Some(items)),
            _ => Err(ErrorAnswer::invalid(
                name,
                "Member must have length less than or equal to 100",
            )),
        }
    }

    pub(super) fn registry_id(self) -> Read<Option<AccountId>> {
        self.text("registryId")?
            .map(|id| {
                id.parse().map_err(|_| {
                    ErrorAnswer::invalid("registryId", "must satisfy regular expression '[0-9]{12}'")
                })
            })
            .transpose()
    }

    pub(super) fn repository_name(self) -> Read<RepositoryName> {
        parse_repository_name("repositoryName", self.required_text("repositoryName")?)
    }

    pub(super) fn repository_names(self) -> Read<Option<Vec<RepositoryName>>> {
        let Some(names) = self.list("repositoryNames")? else {
            return Ok(None);
        };
        let parse =
            |name: &Value| parse_repository_name("repositoryNames", name.as_str().ok_or_else(wrong_type)?);
        names.iter().map(parse).collect::<Read<_>>().map(Some)
    }

    pub(super) fn image_ids(self) -> Read<Option<Vec<ImageId>>> {
        let Some(ids) = self.list("imageIds")? else {
            return Ok(None);
        };
        ids.iter().map(to_image_id).collect::<Read<_>>().map(Some)
    }

    pub(super) fn image_id(self, name: &str) -> Read<ImageId> {
        to_image_id(self.member(name).ok_or_else(|| must_not_be_null(name))?)
    }

    pub(super) fn texts(self, name: &str) -> Read<Option<Vec<&'a str>>> {
        let Some(items) = self.list(name)? else {
            return Ok(None);
        };
        items
            .iter()
            .map(|item| item.as_str().ok_or_else(wrong_type))
            .collect::<Read<_>>()
            .map(Some)
    }

    /// Unless a status is asked for, only active images are listed (API model).
    pub(super) fn filter(self) -> Read<Filter> {
        let mut filter = Filter {
            tag_status: TagStatus::Any,
            image_status: ImageStatus::Active,
        };
        let Some(given) = self.member("filter") else {
            return Ok(filter);
        };
        let given = Self::new(given)?;
        if let Some(status) = given.text("tagStatus")? {
            filter.tag_status = match status {
                "TAGGED" => TagStatus::Tagged,
                "UNTAGGED" => TagStatus::Untagged,
                "ANY" => TagStatus::Any,
                _ => {
                    return Err(ErrorAnswer::invalid(
                        "filter.tagStatus",
                        "Member must satisfy enum value set: [TAGGED, UNTAGGED, ANY]",
                    ));
                }
            };
        }
        if let Some(status) = given.text("imageStatus")? {
            filter.image_status = match status {
                "ACTIVE" => ImageStatus::Active,
                "ARCHIVED" => ImageStatus::Archived,
                "ACTIVATING" => ImageStatus::Activating,
                "ANY" => ImageStatus::Any,
                _ => {
                    return Err(ErrorAnswer::invalid(
                        "filter.imageStatus",
                        "Member must satisfy enum value set: [ACTIVE, ARCHIVED, ACTIVATING, ANY]",
                    ));
                }
            };
        }
        Ok(filter)
    }

    pub(super) fn page(self) -> Read<Page> {
        let entries_max = match self.member("maxResults") {
            None => PAGE_ENTRIES,
            Some(Value::Number(number)) => match number.as_u64() {
                Some(entries @ 1..=PAGE_ENTRIES_MAX) => usize::try_from(entries).unwrap_or(PAGE_ENTRIES),
                Some(0) | None => {
                    return Err(ErrorAnswer::invalid(
                        "maxResults",
                        "must be greater than or equal to 1",
                    ));
                }
                Some(_) => {
                    return Err(ErrorAnswer::invalid(
                        "maxResults",
                        "must be less than or equal to 1000",
                    ));
                }
            },
            Some(_) => return Err(wrong_type()),
        };
        let token = self.text("nextToken")?;
        Ok(Page {
            entries_max,
            is_given: token.is_some() || self.member("maxResults").is_some(),
            token: token.map(str::to_owned),
        })
    }

    /// The mode of `imageTagMutability` with its exclusion filters; `None` if no mode is given.
    pub(super) fn mutability(self) -> Read<Option<Mutability>> {
        let filters = self.exclusion_filters()?;
        let Some(mode) = self.text("imageTagMutability")? else {
            return match filters {
                None => Ok(None),
                Some(_) => Err(filters_without_exclusion("MUTABLE")),
            };
        };
        match (mode, filters) {
            ("MUTABLE", None) => Ok(Some(Mutability::Mutable)),
            ("IMMUTABLE", None) => Ok(Some(Mutability::Immutable)),
            ("IMMUTABLE_WITH_EXCLUSION", Some(filters)) => Ok(Some(Mutability::ImmutableExcept(filters))),
            ("MUTABLE_WITH_EXCLUSION", Some(filters)) => Ok(Some(Mutability::MutableExcept(filters))),
            ("MUTABLE" | "IMMUTABLE", Some(_)) => Err(filters_without_exclusion(mode)),
            ("IMMUTABLE_WITH_EXCLUSION" | "MUTABLE_WITH_EXCLUSION", None) => {
                Err(ErrorAnswer::invalid_parameter(format!(
                    "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: \
                     'must not be empty when imageTagMutability is {mode}'"
                )))
            }
            _ => Err(ErrorAnswer::invalid(
                "imageTagMutability",
                "Member must satisfy enum value set: [MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, \
                 MUTABLE_WITH_EXCLUSION]",
            )),
        }
    }

    fn exclusion_filters(self) -> Read<Option<Vec<String>>> {
        const NAME: &str = "imageTagMutabilityExclusionFilters";
        let Some(value) = self.member(NAME) else {
            return Ok(None);
        };
        let filters = value.as_array().ok_or_else(wrong_type)?;
        if !(1..=5).contains(&filters.len()) {
            return Err(ErrorAnswer::invalid(
                NAME,
                "Member must have length between 1 and 5",
            ));
        }
        filters
            .iter()
            .map(|filter| {
                let filter = Self::new(filter)?;
                if filter.required_text("filterType")? != "WILDCARD" {
                    return Err(ErrorAnswer::invalid(
                        "filterType",
                        "Member must satisfy enum value set: [WILDCARD]",
                    ));
                }
                exclusion_filter(filter.required_text("filter")?)
            })
            .collect::<Read<_>>()
            .map(Some)
    }
}

impl ImageId {
    /// The tag, if it is one that ECR takes.
    pub(super) fn parsed_tag(&self) -> Option<Result<Tag, ()>> {
        self.tag.as_deref().map(|tag| tag.parse().map_err(|_| ()))
    }

    /// The digest, if it is one.
    pub(super) fn parsed_digest(&self) -> Option<Result<Digest, ()>> {
        self.digest
            .as_deref()
            .map(|digest| digest.parse().map_err(|_| ()))
    }
}

impl Page {
    /// Ids or names exclude paging (API model).
    pub(super) fn must_not_be_given(&self, with: &str) -> Read<()> {
        if self.is_given {
            return Err(ErrorAnswer::invalid_parameter(format!(
                "Invalid parameter: 'nextToken' and 'maxResults' can not be used together with '{with}'"
            )));
        }
        Ok(())
    }

    /// The position that the token stands for in the list named by `scope`.
    pub(super) fn position(&self, scope: &str) -> Read<Option<String>> {
        self.token
            .as_deref()
            .map(|token| {
                page::unseal(scope, token)
                    .ok_or_else(|| ErrorAnswer::invalid("nextToken", "Invalid next token"))
            })
            .transpose()
    }
}

fn exclusion_filter(filter: &str) -> Read<String> {
    let is_pattern = (1..=128).contains(&filter.len())
        && filter
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'*' | b'-'));
    if !is_pattern {
        return Err(ErrorAnswer::invalid(
            "filter",
            "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$'",
        ));
    }
    // Not in the API model: the terraform provider refuses a third one, so the service is taken to do so too.
    if filter.matches('*').count() > 2 {
        return Err(ErrorAnswer::invalid(
            "filter",
            "must not have more than 2 wildcards",
        ));
    }
    Ok(filter.to_owned())
}

fn filters_without_exclusion(mode: &str) -> ErrorAnswer {
    ErrorAnswer::invalid(
        "imageTagMutabilityExclusionFilters",
        &format!("must not be given when imageTagMutability is {mode}"),
    )
}

fn to_image_id(value: &Value) -> Read<ImageId> {
    let id = Request::new(value)?;
    let tag = id.text("imageTag")?;
    if tag.is_some_and(|tag| tag.is_empty() || tag.chars().count() > Tag::CHARS_MAX) {
        return Err(tag_length(tag.unwrap_or_default()));
    }
    Ok(ImageId {
        digest: id.text("imageDigest")?.map(str::to_owned),
        tag: tag.map(str::to_owned),
    })
}

/// The tag of a PutImage.
pub(super) fn parse_tag(text: &str) -> Read<Tag> {
    text.parse().map_err(|_| {
        if text.is_empty() || text.chars().count() > Tag::CHARS_MAX {
            tag_length(text)
        } else {
            ErrorAnswer::invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9-_.]+'")
        }
    })
}

fn tag_length(tag: &str) -> ErrorAnswer {
    let constraint = if tag.is_empty() {
        "Member must have length greater than or equal to 1"
    } else {
        "Member must have length less than or equal to 300"
    };
    ErrorAnswer::invalid("imageTag", constraint)
}

fn parse_repository_name(parameter: &str, text: &str) -> Read<RepositoryName> {
    text.parse().map_err(|_| {
        let constraint = match text.len() {
            0 | 1 => "Member must have length greater than or equal to 2",
            2..=256 => {
                "must satisfy regular expression \
                 '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*'"
            }
            _ => "Member must have length less than or equal to 256",
        };
        ErrorAnswer::invalid(parameter, constraint)
    })
}

fn must_not_be_null(name: &str) -> ErrorAnswer {
    ErrorAnswer::invalid(name, "must not be null")
}

fn wrong_type() -> ErrorAnswer {
    ErrorAnswer::client(
        "SerializationException",
        "a member of the request has the wrong type",
    )
}
