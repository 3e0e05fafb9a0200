//! Repositories: creates, describes and deletes them, and sets which of their tags can be moved.

use std::ops::Bound;

use serde_json::{Map, Value, json};

use super::error::ErrorAnswer;
use super::images::epoch_seconds;
use super::repository::Repository;
use super::{Answer, Call, State, page};
use crate::model::{Mutability, RepositoryName};

impl State {
    pub(super) fn create_repository(&mut self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let mutability = call.request.mutability()?.unwrap_or_default();
        let limits = self.limits;
        let repositories = self.registries.entry(call.registry.clone()).or_default();
        if repositories.contains_key(&name) {
            return Err(ErrorAnswer::client(
                "RepositoryAlreadyExistsException",
                format!(
                    "The repository with name '{name}' already exists in the registry with id '{}'",
                    call.account()
                ),
            ));
        }
        if repositories.len() >= limits.repositories {
            return Err(ErrorAnswer::limit_exceeded(format!(
                "The registry with id '{}' already has the maximum allowed number of repositories which is '{}'",
                call.account(),
                limits.repositories
            )));
        }
        let repository = Repository::new(call.now, mutability);
        let answer = json!({ "repository": to_repository(call, &name, &repository) });
        repositories.insert(name, repository);
        self.changed();
        Ok(answer)
    }

    /// Repositories by name, or page by page in the order of their names.
    pub(super) fn describe_repositories(&self, call: &Call<'_>) -> Answer {
        let names = call.request.repository_names()?;
        let page = call.request.page()?;
        if let Some(names) = names {
            page.must_not_be_given("repositoryNames")?;
            let described: Result<Vec<Value>, ErrorAnswer> = names
                .iter()
                .map(|name| Ok(to_repository(call, name, self.repository(call, name)?)))
                .collect();
            return Ok(json!({ "repositories": described? }));
        }
        let scope = call.registry_scope();
        let after: Option<RepositoryName> = page.position(&scope)?.and_then(|position| position.parse().ok());
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let repositories = self.registries.get(&call.registry);
        let mut rest = repositories
            .into_iter()
            .flat_map(|repositories| repositories.range::<RepositoryName, _>((start, Bound::Unbounded)));
        let shown: Vec<_> = rest.by_ref().take(page.entries_max).collect();
        let mut answer = Map::new();
        let described = shown
            .iter()
            .map(|(name, repository)| to_repository(call, name, repository));
        answer.insert("repositories".to_owned(), described.collect());
        if rest.next().is_some()
            && let Some((last, _)) = shown.last()
        {
            answer.insert("nextToken".to_owned(), page::seal(&scope, last.as_str()).into());
        }
        Ok(Value::Object(answer))
    }

    pub(super) fn delete_repository(&mut self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let is_forced = call.request.flag("force")?;
        let repository = self.repository(call, &name)?;
        if repository.image_count() > 0 && !is_forced {
            return Err(ErrorAnswer::client(
                "RepositoryNotEmptyException",
                format!(
                    "The repository with name '{name}' in registry with id '{}' cannot be deleted because it still \
                     contains images",
                    call.account()
                ),
            ));
        }
        let answer = json!({ "repository": to_repository(call, &name, repository) });
        if let Some(repositories) = self.registries.get_mut(&call.registry) {
            repositories.remove(&name);
        }
        self.changed();
        Ok(answer)
    }

    /// Changes what later pushes may do; tags that are there stay as they are.
    pub(super) fn put_image_tag_mutability(&mut self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let mutability = call
            .request
            .mutability()?
            .ok_or_else(|| ErrorAnswer::invalid("imageTagMutability", "must not be null"))?;
        let repository = self.repository_mut(call, &name)?;
        repository.mutability = mutability;
        let mut answer = json!({
            "registryId": call.account().as_str(),
            "repositoryName": name.as_str(),
        });
        insert_mutability(&mut answer, &repository.mutability);
        self.changed();
        Ok(answer)
    }
}

fn to_repository(call: &Call<'_>, name: &RepositoryName, repository: &Repository) -> Value {
    let (account, region) = &call.registry;
    let mut described = json!({
        "repositoryArn": call.repository_arn(name),
        "registryId": account.as_str(),
        "repositoryName": name.as_str(),
        "repositoryUri": format!("{account}.dkr.ecr.{region}.{}/{name}", domain(region.as_str())),
        "createdAt": epoch_seconds(repository.created_at),
    });
    insert_mutability(&mut described, &repository.mutability);
    if let Some(members) = described.as_object_mut() {
        members.insert(
            "imageScanningConfiguration".to_owned(),
            json!({ "scanOnPush": false }),
        );
        members.insert(
            "encryptionConfiguration".to_owned(),
            json!({ "encryptionType": "AES256" }),
        );
    }
    described
}

fn insert_mutability(object: &mut Value, mutability: &Mutability) {
    let (mode, filters) = match mutability {
        Mutability::Mutable => ("MUTABLE", None),
        Mutability::Immutable => ("IMMUTABLE", None),
        Mutability::ImmutableExcept(filters) => ("IMMUTABLE_WITH_EXCLUSION", Some(filters)),
        Mutability::MutableExcept(filters) => ("MUTABLE_WITH_EXCLUSION", Some(filters)),
    };
    let Some(members) = object.as_object_mut() else {
        return;
    };
    members.insert("imageTagMutability".to_owned(), Value::from(mode));
    if let Some(filters) = filters {
        let filters = filters
            .iter()
            .map(|filter| json!({ "filterType": "WILDCARD", "filter": filter }));
        members.insert("imageTagMutabilityExclusionFilters".to_owned(), filters.collect());
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}
