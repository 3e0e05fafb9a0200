//! Reads what a registry holds, repository by repository, in as few calls as the rules allow.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::Either;
use futures::stream::{self, Stream, StreamExt};

use super::ecr::IDS_PER_CALL;
use super::read::Reader;
use super::{ImageDetail, Kind, Operation, Page, RegistryError, RepositoryDetail};
use crate::inventory::{Image, Inventory, View};
use crate::model::{Digest, RepositoryName, Tag};
use crate::plan::{Reads, RepositoryReads};

/// What came of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// What it holds.
    Inventory(Inventory),
    /// It was named and does not exist.
    Missing(RepositoryName),
    /// It, or the list of repositories, could not be read.
    Failed(RegistryError),
}

/// What decides how much is read of a repository.
#[derive(Clone, Copy)]
pub struct Questions<'a> {
    /// What must be read of a repository; none if it is of no interest.
    pub reads: &'a (dyn Fn(&RepositoryName) -> Option<Reads> + Sync),
    /// Which images may lose a tag, so that their other tags must be known; asked for views of named tags only.
    pub losing: &'a (dyn Fn(&Inventory) -> BTreeSet<Digest> + Sync),
}

/// No list of repositories or images has more pages than this; a server that says otherwise goes in circles.
const PAGES_MAX: usize = 100_000;

/// Reads the inventories of these repositories, in no certain order, a bounded number at once.
///
/// Each is given as soon as it is read and not kept, so that memory grows with the largest repository only. A
/// repository that fails does not keep the others from being read.
///
/// Calls made: `DescribeRepositories`, 100 names a call, or pages of 1,000 if there are patterns; then for each
/// repository `BatchGetImage`, 100 ids a call, for named tags, or pages of 1,000 of `ListImages`, or of
/// `DescribeImages` where push times are asked for; and `DescribeImages` by digest, 100 a call, for images that may
/// lose a tag.
pub fn observe<'a>(
    reader: &'a Reader<'a>,
    wanted: &'a RepositoryReads,
    questions: Questions<'a>,
) -> impl Stream<Item = Observation> + Send + 'a {
    let repositories = if wanted.has_globs {
        Either::Left(listed(reader, &wanted.exact, questions))
    } else {
        Either::Right(named(reader, &wanted.exact))
    };
    repositories
        .filter_map(move |found| {
            std::future::ready(match found {
                Ok(repository) => (questions.reads)(&repository.name).map(|reads| Ok((repository, reads))),
                Err(other) => Some(Err(other)),
            })
        })
        .map(move |found| async move {
            match found {
                Ok((repository, reads)) => match read(reader, repository, reads, questions).await {
                    Ok(inventory) => Observation::Inventory(inventory),
                    Err(error) => Observation::Failed(error),
                },
                Err(other) => other,
            }
        })
        .buffer_unordered(Reader::CALLS_MAX)
}

type Found = Result<RepositoryDetail, Observation>;

/// All repositories, a page at a time; then those of `exact` that did not come.
fn listed<'a>(
    reader: &'a Reader<'a>,
    exact: &'a BTreeSet<RepositoryName>,
    questions: Questions<'a>,
) -> impl Stream<Item = Found> + Send + 'a {
    struct Listing {
        missing: BTreeSet<RepositoryName>,
        next: Next,
    }
    let listing = Listing {
        missing: exact.clone(),
        next: Next::first(),
    };
    stream::unfold(Some(listing), move |listing| async move {
        let mut listing = listing?;
        let page = reader
            .call(Operation::DescribeRepositories, |turn| {
                reader.registry.list_repositories(turn, listing.next.token())
            })
            .await
            .and_then(|page| listing.next.step(page))
            .map_err(|error| error.during(Operation::DescribeRepositories, None));
        Some(match page {
            Ok(items) => {
                for repository in &items {
                    listing.missing.remove(&repository.name);
                }
                let is_wanted = |item: &&RepositoryDetail| (questions.reads)(&item.name).is_some();
                reader.repositories_found(items.iter().filter(is_wanted).count());
                let mut found: Vec<Found> = items.into_iter().map(Ok).collect();
                if listing.next.is_last() {
                    let missing = std::mem::take(&mut listing.missing);
                    found.extend(missing.into_iter().map(|name| Err(Observation::Missing(name))));
                    (found, None)
                } else {
                    (found, Some(listing))
                }
            }
            Err(error) => (vec![Err(Observation::Failed(error))], None),
        })
    })
    .map(stream::iter)
    .flatten()
}

/// These repositories, by name.
fn named<'a>(
    reader: &'a Reader<'a>,
    names: &'a BTreeSet<RepositoryName>,
) -> impl Stream<Item = Found> + Send + 'a {
    let names: Vec<RepositoryName> = names.iter().cloned().collect();
    let batches: Vec<Vec<RepositoryName>> = names.chunks(IDS_PER_CALL).map(<[_]>::to_vec).collect();
    stream::iter(batches)
        .map(move |names| async move {
            let mut missing: BTreeSet<RepositoryName> = names.iter().cloned().collect();
            let described = reader.all_but_missing(
                Operation::DescribeRepositories,
                Kind::RepositoryNotFound,
                names,
                |turn, names| async move { reader.registry.describe_repositories(turn, &names).await },
            );
            match described.await {
                Ok(found) => {
                    reader.repositories_found(found.len());
                    for repository in &found {
                        missing.remove(&repository.name);
                    }
                    let missing = missing.into_iter().map(|name| Err(Observation::Missing(name)));
                    found.into_iter().map(Ok).chain(missing).collect()
                }
                Err(error) => vec![Err(Observation::Failed(error))],
            }
        })
        .buffer_unordered(Reader::CALLS_MAX)
        .map(stream::iter)
        .flatten()
}

/// Reads one repository, as far as is asked.
async fn read(
    reader: &Reader<'_>,
    repository: RepositoryDetail,
    reads: Reads,
    questions: Questions<'_>,
) -> Result<Inventory, RegistryError> {
    let name = &repository.name;
    let (view, contents) = match reads {
        Reads::Named { tags, digests } => (View::Named, read_named(reader, name, &tags, &digests).await?),
        Reads::Whole {
            with_push_times: false,
        } => (View::Whole, list(reader, name).await?),
        Reads::Whole {
            with_push_times: true,
        } => (View::Whole, describe(reader, name).await?),
    };
    let mut inventory = Inventory {
        repository: repository.name,
        mutability: repository.mutability,
        tags: contents.tags,
        view,
        images: contents.images,
    };
    if inventory.view == View::Named {
        let losing = (questions.losing)(&inventory);
        for detail in reader.describe(&inventory.repository, &losing).await? {
            let image = Image {
                tags: Some(detail.tags.clone()),
                ..Image::from(&detail)
            };
            inventory.images.insert(detail.digest, image);
        }
    }
    Ok(inventory)
}

#[derive(Debug, Default)]
struct Contents {
    tags: BTreeMap<Tag, Digest>,
    images: BTreeMap<Digest, Image>,
}

async fn read_named(
    reader: &Reader<'_>,
    repository: &RepositoryName,
    tags: &BTreeSet<Tag>,
    digests: &BTreeSet<Digest>,
) -> Result<Contents, RegistryError> {
    let resolved = reader.resolve(repository, tags, digests).await?;
    Ok(Contents {
        tags: resolved.tags,
        images: resolved
            .digests
            .into_iter()
            .map(|digest| (digest, Image::default()))
            .collect(),
    })
}

async fn list(reader: &Reader<'_>, repository: &RepositoryName) -> Result<Contents, RegistryError> {
    let (mut tags, mut images) = (Vec::new(), Vec::new());
    let mut next = Next::first();
    while !next.is_last() {
        let page = reader
            .call(Operation::ListImages, |turn| {
                reader.registry.list_images(turn, repository, next.token())
            })
            .await?;
        let listed = next
            .step(page)
            .map_err(|error| error.during(Operation::ListImages, Some(repository)))?;
        for listed in listed {
            match listed.tag {
                Some(tag) => tags.push((tag, listed.digest)),
                None => images.push((listed.digest, Image::default())),
            }
        }
    }
    Ok(Contents {
        tags: settle(reader, repository, tags).await?,
        images: images.into_iter().collect(),
    })
}

async fn describe(reader: &Reader<'_>, repository: &RepositoryName) -> Result<Contents, RegistryError> {
    let (mut tags, mut images) = (Vec::new(), Vec::new());
    let mut next = Next::first();
    while !next.is_last() {
        let page = reader
            .call(Operation::DescribeImages, |turn| {
                reader.registry.describe_images(turn, repository, next.token())
            })
            .await?;
        let details = next
            .step(page)
            .map_err(|error| error.during(Operation::DescribeImages, Some(repository)))?;
        for detail in details {
            images.push((detail.digest, Image::from(&detail)));
            tags.extend(detail.tags.into_iter().map(|tag| (tag, detail.digest)));
        }
    }
    Ok(Contents {
        tags: settle(reader, repository, tags).await?,
        images: images.into_iter().collect(),
    })
}

impl From<&ImageDetail> for Image {
    fn from(detail: &ImageDetail) -> Self {
        Self {
            pushed_at: detail.pushed_at,
            tags: None,
            is_archived: detail.is_archived,
        }
    }
}

/// Makes one moment of pages that were read one after the other.
///
/// A tag that moved in between may have been seen on two images; it is read again by its name.
async fn settle(
    reader: &Reader<'_>,
    repository: &RepositoryName,
    mut seen: Vec<(Tag, Digest)>,
) -> Result<BTreeMap<Tag, Digest>, RegistryError> {
    seen.sort_unstable();
    seen.dedup();
    let doubtful: BTreeSet<Tag> = seen
        .array_windows()
        .filter(|[(one, _), (other, _)]| one == other)
        .map(|[(tag, _), _]| tag.clone())
        .collect();
    if doubtful.is_empty() {
        return Ok(seen.into_iter().collect());
    }
    let resolved = reader.resolve(repository, &doubtful, &BTreeSet::new()).await?;
    let sure = seen.into_iter().filter(|(tag, _)| !doubtful.contains(tag));
    Ok(sure.chain(resolved.tags).collect())
}

/// Where a list goes on.
#[derive(Debug)]
struct Next {
    token: Option<String>,
    pages: usize,
    is_last: bool,
}

impl Next {
    fn first() -> Self {
        Self {
            token: None,
            pages: 0,
            is_last: false,
        }
    }

    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn is_last(&self) -> bool {
        self.is_last
    }

    /// Takes the entries of a page, and where the next one is.
    fn step<T>(&mut self, page: Page<T>) -> Result<Vec<T>, RegistryError> {
        let next = page.next.filter(|token| !token.is_empty());
        self.pages += 1;
        self.is_last = next.is_none();
        if (next.is_some() && next == self.token) || self.pages > PAGES_MAX {
            return Err(RegistryError::new(
                Kind::UnexpectedAnswer,
                "the list of pages does not end",
            ));
        }
        self.token = next;
        Ok(page.items)
    }
}

#[cfg(test)]
mod tests;
