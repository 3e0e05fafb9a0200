//! The options of `aws ecr put-image`, and `--idempotent`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

const OUTPUT: &str = "Output";
const CONNECTION: &str = "Connection";
const INPUT: &str = "Input";

#[derive(Debug, Args)]
#[command(
    args_override_self = true,
    infer_long_args = true,
    after_help = "\
Exit codes, as of the AWS CLI: 0 done · 252 wrong usage · 253 not configured · 254 ECR answered with an error · 255 \
anything else

Examples:
  ecr-retag put-image --repository-name hello-world --image-tag 2019.08 --image-manifest file://manifest.json
  ecr-retag put-image --generate-cli-skeleton > image.json
  ecr-retag put-image --cli-input-json file://image.json --image-tag stable --query image.imageId.imageDigest"
)]
pub(in crate::cli) struct PutImageArgs {
    #[command(flatten)]
    pub(super) image: ImageArgs,
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: AwsConnectionArgs,
}

/// The image; `file://` names a file of text and `fileb://` one whose bytes are kept.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImageArgs {
    /// The account of the registry; the caller's own if not given
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) registry_id: Option<String>,
    /// The repository (required)
    #[arg(long, value_name = "NAME")]
    pub(super) repository_name: Option<String>,
    /// The manifest: text, `file://PATH` or `fileb://PATH` (required)
    #[arg(long, value_name = "MANIFEST")]
    pub(super) image_manifest: Option<String>,
    /// The manifest's media type, where the manifest does not say it
    #[arg(long, value_name = "TYPE")]
    pub(super) image_manifest_media_type: Option<String>,
    /// The tag
    #[arg(long, value_name = "TAG")]
    pub(super) image_tag: Option<String>,
    /// The digest that the manifest must have
    #[arg(long, value_name = "DIGEST")]
    pub(super) image_digest: Option<String>,
    /// Succeed if the tag is on this image already; the AWS CLI has no such option
    #[arg(long)]
    pub(super) idempotent: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InputArgs {
    /// Read what options do not say from this JSON, text or `file://PATH`
    #[arg(long, value_name = "JSON", help_heading = INPUT)]
    pub(super) cli_input_json: Option<String>,
    /// Read what options do not say from this YAML, text or `file://PATH`
    #[arg(long, value_name = "YAML", help_heading = INPUT)]
    pub(super) cli_input_yaml: Option<String>,
    /// Print a sample and call nothing; `output` checks the options
    #[arg(long, value_name = "SAMPLE", num_args = 0..=1, default_missing_value = "input", value_parser = ["input", "yaml-input", "output"], help_heading = INPUT)]
    pub(super) generate_cli_skeleton: Option<String>,
    /// How binary values are written; no value of this command is binary
    #[arg(long, value_name = "FORMAT", value_parser = ["base64", "raw-in-base64-out"], help_heading = INPUT)]
    pub(super) cli_binary_format: Option<String>,
    /// Ask for what is missing [env: AWS_CLI_AUTO_PROMPT]
    #[arg(long, help_heading = INPUT)]
    pub(super) cli_auto_prompt: bool,
    /// Do not ask for what is missing
    #[arg(long, help_heading = INPUT)]
    pub(super) no_cli_auto_prompt: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OutputArgs {
    /// Print the answer in this format [env: AWS_DEFAULT_OUTPUT]
    #[arg(long, value_name = "FORMAT", value_parser = ["json", "text", "table", "yaml", "yaml-stream"], help_heading = OUTPUT)]
    pub(super) output: Option<String>,
    /// Print what this JMESPath expression picks from the answer
    #[arg(long, value_name = "JMESPATH", help_heading = OUTPUT)]
    pub(super) query: Option<String>,
    /// Accepted; there is no pager
    #[arg(long, help_heading = OUTPUT)]
    pub(super) no_cli_pager: bool,
    /// Accepted; there are no pages
    #[arg(long, help_heading = OUTPUT)]
    pub(super) no_paginate: bool,
    /// Show requests and answers on standard error, without secrets
    #[arg(long, help_heading = OUTPUT)]
    pub(super) debug: bool,
}

/// How ECR is reached: the AWS CLI's names for what [`ConnectionArgs`] holds.
#[derive(Debug, Args)]
pub(in crate::cli) struct AwsConnectionArgs {
    /// Use a profile of ~/.aws/config [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME", help_heading = CONNECTION)]
    pub(super) profile: Option<String>,
    /// Use this region [env: AWS_REGION, AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION", help_heading = CONNECTION)]
    pub(super) region: Option<String>,
    /// Send the call to this URL [env: AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, help_heading = CONNECTION)]
    pub(super) endpoint_url: Option<String>,
    /// Do not sign the call; no credentials are looked for
    #[arg(long, help_heading = CONNECTION)]
    pub(super) no_sign_request: bool,
    /// Trust the certificates in this PEM file [env: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = CONNECTION)]
    pub(super) ca_bundle: Option<PathBuf>,
    /// Trust any certificate
    #[arg(long, help_heading = CONNECTION)]
    pub(super) no_verify_ssl: bool,
    /// Give up waiting for an answer after so many seconds; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = CONNECTION)]
    pub(super) cli_read_timeout: u32,
    /// Give up connecting after so many seconds; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = CONNECTION)]
    pub(super) cli_connect_timeout: u32,
    /// Use the embedded registry instead of AWS; its state is kept in FILE
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = crate::cli::sandbox::STATE_FILE,
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["profile", "endpoint_url", "ca_bundle", "no_verify_ssl"],
        help_heading = CONNECTION
    )]
    pub(super) sandbox: Option<PathBuf>,
}
