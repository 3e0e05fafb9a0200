//! The operations of ECR that this program calls.

use std::fmt;

/// An operation of ECR; each has its own quota, and so its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Lists repositories and says how mutable their tags are.
    DescribeRepositories,
    /// Lists tags with their digests.
    ListImages,
    /// Lists images with their tags and push times.
    DescribeImages,
    /// Reads manifests.
    BatchGetImage,
    /// Writes a tag.
    PutImage,
    /// Removes tags.
    BatchDeleteImage,
}

impl Operation {
    /// Every operation, in the order of its index.
    pub const ALL: [Self; 6] = [
        Self::DescribeRepositories,
        Self::ListImages,
        Self::DescribeImages,
        Self::BatchGetImage,
        Self::PutImage,
        Self::BatchDeleteImage,
    ];

    /// The name as ECR's API model writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DescribeRepositories => "DescribeRepositories",
            Self::ListImages => "ListImages",
            Self::DescribeImages => "DescribeImages",
            Self::BatchGetImage => "BatchGetImage",
            Self::PutImage => "PutImage",
            Self::BatchDeleteImage => "BatchDeleteImage",
        }
    }

    /// The IAM action that allows it, such as `ecr:PutImage`.
    pub fn iam_action(self) -> String {
        format!("ecr:{}", self.as_str())
    }

    /// Whether it changes the registry.
    pub fn is_write(self) -> bool {
        matches!(self, Self::PutImage | Self::BatchDeleteImage)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One value for each operation.
#[derive(Debug, Default)]
pub(super) struct PerOperation<T>([T; Operation::ALL.len()]);

impl<T> PerOperation<T> {
    pub(super) fn new(value: impl FnMut(Operation) -> T) -> Self {
        Self(Operation::ALL.map(value))
    }

    pub(super) fn get(&self, operation: Operation) -> &T {
        let [
            describe_repositories,
            list_images,
            describe_images,
            batch_get_image,
            put_image,
            batch_delete_image,
        ] = &self.0;
        match operation {
            Operation::DescribeRepositories => describe_repositories,
            Operation::ListImages => list_images,
            Operation::DescribeImages => describe_images,
            Operation::BatchGetImage => batch_get_image,
            Operation::PutImage => put_image,
            Operation::BatchDeleteImage => batch_delete_image,
        }
    }
}
