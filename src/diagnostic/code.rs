//! Every kind of diagnostic: its code, and what it means.

/// Declares the codes once, so that the list in the documentation cannot miss one.
macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal: $meaning:literal,)*) => {
        /// A kind of mistake or doubt, stable across versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it is printed, such as `plan/unknown-key`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The code that is printed like this.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == name)
            }

            /// What it means and what to do, in a sentence or two.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

codes! {
    InvalidYaml = "plan/invalid-yaml": "The file is not YAML, holds a second document, or is larger or more deeply nested than a plan file may be.",
    EmptyFile = "plan/empty-file": "The plan file holds nothing, or comments alone.",
    WrongType = "plan/wrong-type": "A value is of another kind than its key takes, such as a list where a text belongs.",
    UnknownKey = "plan/unknown-key": "A key that plan files do not have; often a slip of the finger.",
    DuplicateKey = "plan/duplicate-key": "A key is written twice in one mapping, so that one of the values would be lost.",
    MissingKey = "plan/missing-key": "A key that must be there is not.",
    ConflictingKeys = "plan/conflicting-keys": "Keys stand together that exclude each other, such as `from` and `map`.",
    NeedsOtherKey = "plan/needs-other-key": "A key only means something beside another, such as `prefix` beside `semver`.",
    EmptyList = "plan/empty-list": "A list has nothing in it.",
    TooMany = "plan/too-many": "There are more list entries, rows, expressions or the like than a plan may have.",
    UnsupportedVersion = "plan/unsupported-version": "The plan file is of a version that this program does not read.",
    UnknownWord = "plan/unknown-word": "A value is none of the words that its key takes.",
    InvalidValue = "plan/invalid-value": "A number, a switch or an address is not what its key takes.",
    TooManyProblems = "plan/too-many-problems": "There are more problems than are worth listing.",
    InvalidRuleName = "plan/invalid-rule-name": "A rule's name is empty, very long, or goes over several lines.",
    DuplicateRule = "plan/duplicate-rule": "Two rules have the same name; every rule needs its own, since reports speak of rules by name.",
    NoRules = "plan/no-rules": "The plan has no rules, so that there is nothing to plan.",
    NoMapping = "plan/no-mapping": "A rule says neither `from` and `to`, nor `map`, nor `map_file`.",
    NoRepositories = "plan/no-repositories": "The entries of `repositories` all begin with `!`, so that there is nothing to take away from.",
    InvalidRegistry = "plan/invalid-registry": "The name, the region or the account of a registry does not follow its grammar.",
    RegistryConflict = "plan/registry-conflict": "Two plan files declare a registry, and not in the same way.",
    UnknownRegistry = "plan/unknown-registry": "A rule names a registry that no plan file declares.",
    InvalidRepository = "plan/invalid-repository": "A repository's name does not follow ECR's grammar.",
    InvalidTag = "plan/invalid-tag": "A tag does not follow ECR's grammar.",
    InvalidDigest = "plan/invalid-digest": "A digest is not `sha256:` and 64 hex digits.",
    UnpullableTag = "plan/unpullable-tag": "ECR takes the tag, but container clients cannot pull it: it is longer than 128 characters or begins with `.` or `-`.",
    BadGlob = "plan/bad-glob": "A glob pattern cannot be read.",
    BadRegex = "plan/bad-regex": "A regular expression cannot be read, or is too large.",
    BadRequirement = "plan/bad-requirement": "A requirement of versions, such as `>=1.8, <2`, cannot be read.",
    InvalidMoment = "plan/invalid-moment": "`pushed_after` or `pushed_before` is neither RFC 3339 nor a span such as `30d`.",
    BadTemplate = "plan/bad-template": "A `${...}` cannot be read, or can never be computed.",
    UnknownVariable = "plan/unknown-variable": "A `${...}` names something that neither all of the rule's selectors nor `vars` provide.",
    CaptureHidesName = "plan/capture-hides-name": "A capture of a regular expression is called like a variable or like a name that every source has.",
    InvalidVariableName = "plan/invalid-variable-name": "A variable's name is not letters, digits and `_`, beginning with a letter.",
    ReservedName = "plan/reserved-name": "A variable is called like something that templates know already, such as `tag`.",
    VariableConflict = "plan/variable-conflict": "Two plan files declare a variable, and not in the same way.",
    UnusedVariable = "plan/unused-variable": "A variable is declared and nothing uses it.",
    UndeclaredVariable = "plan/undeclared-variable": "A variable is given on the command line or in a file that the plan does not declare.",
    MissingVariable = "plan/missing-variable": "A variable has no default value and was not given.",
    InvalidVariableFile = "plan/invalid-variable-file": "A file of variables is neither a YAML mapping nor lines `NAME=VALUE`.",
    UnreadableMapFile = "plan/unreadable-map-file": "A mapping file cannot be read.",
    EmptyMapFile = "plan/empty-map-file": "A mapping file has no rows.",
    BadRow = "plan/bad-row": "A row of a mapping file has not the columns of the others.",
    RowOutsideRule = "plan/row-outside-rule": "A row of a mapping file is for a repository that the rule does not apply to, so that it would never count.",
    DuplicateRow = "plan/duplicate-row": "A mapping says the same thing twice.",
    BackupNotATarget = "plan/backup-not-a-target": "A key of `backup` is a tag that no target of the rule renders to, so that it would never be made.",
    BackupOfItself = "plan/backup-of-itself": "A tag is to be kept under its own name.",
    ExpectNotATarget = "plan/expect-not-a-target": "A key of `expect` is a tag that no target of the rule renders to, so that it would never be asked.",
    InvalidTarget = "plan/invalid-target": "What a template makes of a source is no valid tag.",
    TemplateFailed = "plan/template-failed": "A template cannot be computed for a source, or names something that is not known of it.",
    TargetConflict = "plan/target-conflict": "Two rules want one tag on two different images.",
    AmbiguousSource = "plan/ambiguous-source": "Several sources with different images render to one target, and `pick` does not say which is meant.",
    RepositoryNotFound = "plan/repository-not-found": "A repository that a rule names is not there.",
    NoRepositoryMatches = "plan/no-repository-matches": "A pattern for repositories matches none.",
    SourceNotFound = "plan/source-not-found": "A source tag is not there.",
    NothingSelected = "plan/nothing-selected": "A rule selects no tag of a repository it applies to.",
    NothingInScope = "plan/nothing-in-scope": "`--target` and `--exclude` leave no address of the plan.",
    TargetExists = "plan/target-exists": "The target is on another image, and the rule says `on_existing: fail`.",
    ImmutableTag = "plan/immutable-tag": "The tag is on another image and the repository does not let it move.",
    TooManyTags = "plan/too-many-tags": "An image would carry more than the 1,000 tags that ECR allows.",
    RegistryTwice = "plan/registry-twice": "Two registries of the plan turn out to be one account and region, so that they would share a quota and every tag would have two addresses.",
    LastTag = "plan/last-tag": "A removal would take an image's last tag, and ECR would delete the image.",
    LeftUntagged = "plan/left-untagged": "A move takes an image's last tag; a lifecycle rule may expire an untagged image.",
    ReadsWhatItMoves = "plan/reads-what-it-moves": "The plan reads a tag that it also moves, so that a second run would mean something else.",
    ProtectedTag = "plan/protected-tag": "A tag that `policy.protect` names would be moved or removed.",
    ExpectationFailed = "plan/expectation-failed": "A target would change and is not where `expect` says it must be.",
    AdvanceUnclear = "plan/advance-unclear": "With `on_existing: advance` the present image and the picked one cannot be ranked against each other, so that the tag is kept.",
    CircularBackup = "plan/circular-backup": "Two moves are each other's backup, so that neither can be made first.",
    LimitPassed = "plan/limit-passed": "The plan makes more changes than a limit of the policy allows; `apply` refuses it.",
    ArchivedSource = "plan/archived-source": "The source image is archived; it must be restored before it can be retagged.",
    LeftOut = "plan/left-out": "A change is left out because another that it needs is not made.",
}
