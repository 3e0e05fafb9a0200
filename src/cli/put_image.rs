//! `put-image`: the AWS CLI's command, with its options, its output and its exit codes.

mod options;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::args::ConnectionArgs;
use super::connect::{connect_options, open_sandbox};
use super::{CliError, Environment, Exit, Session};
use crate::model::Region;
use crate::put_image::{
    Caller, Input, MEMBERS, OutputFormat, Parameters, Profile, PutImageError, Query, Request, Skeleton,
    Source, TableLook, Watch, input_skeleton, render, sample_answer, yaml_input_skeleton,
};
use crate::registry::{ConnectOptions, Rate};
use crate::render::warning_text;
use crate::sandbox::Sandbox;

pub(super) use options::PutImageArgs;

/// The name of the command.
pub(super) const NAME: &str = "put-image";

/// Runs the command; its errors are printed here, as the AWS CLI prints them.
pub(super) fn run(session: &Session, args: &PutImageArgs) -> Result<Exit, CliError> {
    super::block_on(async {
        let error = match answer(session, args).await {
            Ok(text) => return session.print(&text).map(|_| Exit::Done),
            Err(error) => error,
        };
        session.printer.err(&format!("\n{error}\n"));
        Ok(match error {
            PutImageError::Usage(_) => Exit::AwsUsage,
            PutImageError::Configuration(_) => Exit::AwsConfiguration,
            PutImageError::Service(_) => Exit::AwsService,
            PutImageError::Other(_) => Exit::AwsOther,
        })
    })
}

/// What is to be printed on standard output.
async fn answer(session: &Session, args: &PutImageArgs) -> Result<String, PutImageError> {
    let environment = &session.environment;
    args.check()?;
    let query = args.output.query.as_deref().map(Query::compile).transpose()?;
    let parameters = args.parameters(session)?;
    let sample = match args.skeleton() {
        Some(Skeleton::Input) => return Ok(input_skeleton()),
        Some(Skeleton::YamlInput) => return Ok(yaml_input_skeleton()),
        Some(Skeleton::Output) => Some(sample_answer()),
        None => None,
    };
    let request = Request::try_from(parameters)?;
    let profile = args.profile(environment).await?;
    let format = args.format(&profile, environment)?;
    let answer = match sample {
        Some(sample) => sample,
        None => put(session, args, &profile, &request).await?,
    };
    let picked = match &query {
        Some(query) => query.pick(&answer)?,
        None => answer,
    };
    let look = session.printer.out_look();
    let look = TableLook {
        width: look.width.unwrap_or(TableLook::default().width),
        is_colored: look.is_colored,
    };
    render(&picked, format, look)
}

async fn put(
    session: &Session,
    args: &PutImageArgs,
    profile: &Profile,
    request: &Request,
) -> Result<Value, PutImageError> {
    let environment = &session.environment;
    let other = |error: CliError| PutImageError::Other(error.to_string());
    let sandbox = args.connection.sandbox.as_deref();
    let sandbox = sandbox
        .map(|path| open_sandbox(path, environment))
        .transpose()
        .map_err(other)?;
    let (log, mut logged) = tokio::sync::mpsc::unbounded_channel();
    let log = Arc::new(move |text| drop(log.send(text)));
    let options = args.connect_options(profile, sandbox.as_ref(), environment)?;
    let attempts_max = attempts_max(profile, environment);
    let chance = fastrand::Rng::with_seed(environment.seed);
    let watch = Watch::new(args.output.debug.then_some(log));
    let mut caller = Caller::connect(&options, attempts_max, chance, watch).await?;
    let calls = async {
        match caller.put(request).await {
            Err(PutImageError::Service(refusal)) if args.image.idempotent => {
                let settled = caller.settle(request, &refusal).await;
                settled.ok_or(PutImageError::Service(refusal))
            }
            done => done,
        }
    };
    let mut calls = Box::pin(calls);
    let answer = loop {
        tokio::select! {
            biased;
            Some(text) = logged.recv() => session.printer.err(&text),
            answer = &mut calls => break answer,
        }
    };
    while let Ok(text) = logged.try_recv() {
        session.printer.err(&text);
    }
    if let Some(sandbox) = sandbox {
        sandbox.save().map_err(|error| other(error.into()))?;
    }
    answer
}

/// The attempts that the AWS CLI makes.
fn attempts_max(profile: &Profile, environment: &Environment) -> u32 {
    let setting = |variable, name| environment.get(variable).or_else(|| profile.get(name));
    let by_mode = match setting("AWS_RETRY_MODE", "retry_mode") {
        Some("legacy") => 5,
        _ => 3,
    };
    setting("AWS_MAX_ATTEMPTS", "max_attempts")
        .and_then(|count| count.parse().ok())
        .filter(|count| *count > 0)
        .unwrap_or(by_mode)
}

impl PutImageArgs {
    /// What can be said before any file is read.
    fn check(&self) -> Result<(), PutImageError> {
        let usage = |text: &str| Err(PutImageError::Usage(text.to_owned()));
        if self.input.cli_auto_prompt && self.input.no_cli_auto_prompt {
            return usage(
                "Both --cli-auto-prompt and --no-cli-auto-prompt cannot be specified at the same time.",
            );
        }
        if let Some(url) = self
            .connection
            .endpoint_url
            .as_deref()
            .filter(|url| !url.contains(':'))
        {
            return usage(&format!(
                "Bad value for --endpoint-url \"{url}\": scheme is missing.  Must be of the form http://<hostname>/ or \
                 https://<hostname>/"
            ));
        }
        if self.input.cli_input_json.is_some() && self.input.cli_input_yaml.is_some() {
            return usage("Only one --cli-input- parameter may be specified.");
        }
        Ok(())
    }

    fn skeleton(&self) -> Option<Skeleton> {
        match self.input.generate_cli_skeleton.as_deref()? {
            "yaml-input" => Some(Skeleton::YamlInput),
            "output" => Some(Skeleton::Output),
            _ => Some(Skeleton::Input),
        }
    }

    /// The value of a member's option.
    fn option(&self, member: &str) -> Option<&str> {
        let image = &self.image;
        let value = match member {
            "registryId" => &image.registry_id,
            "repositoryName" => &image.repository_name,
            "imageManifest" => &image.image_manifest,
            "imageManifestMediaType" => &image.image_manifest_media_type,
            "imageTag" => &image.image_tag,
            "imageDigest" => &image.image_digest,
            _ => &None,
        };
        value.as_deref()
    }

    /// What options and inputs say, and what was answered if somebody can be asked.
    fn parameters(&self, session: &Session) -> Result<Parameters, PutImageError> {
        let read = |path: &Path| std::fs::read(path);
        let source = Source {
            read: &read,
            variables: &session.environment.variables,
        };
        let follow = |option: &str, value: &str| {
            let text = source.follow(option, value)?;
            if let Some(file) = &text.changed_file {
                session.warn_of_line_ends(file);
            }
            Ok(text.text)
        };
        let mut parameters = Parameters::default();
        for member in MEMBERS {
            if let Some(value) = self.option(member.name) {
                let text = follow(&format!("--{}", member.option), value)?;
                parameters.set(member.name, text);
            }
        }
        let inputs = [
            (Input::Json, &self.input.cli_input_json, "--cli-input-json"),
            (Input::Yaml, &self.input.cli_input_yaml, "--cli-input-yaml"),
        ];
        let mut has_input = matches!(self.skeleton(), Some(Skeleton::Input | Skeleton::YamlInput));
        for (input, value, option) in inputs {
            if let Some(value) = value {
                parameters.add_input(input, &follow(option, value)?)?;
                has_input = true;
            }
        }
        if self.asks(&session.environment)? {
            session.ask_for_missing(&mut parameters)?;
        }
        let missing = parameters.missing_options();
        if !has_input && !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(PutImageError::Usage(format!(
                "{NAME}: error: the following arguments are required: {missing}"
            )));
        }
        Ok(parameters)
    }

    /// Whether to ask for what is missing; nothing is asked where nobody can answer.
    fn asks(&self, environment: &Environment) -> Result<bool, PutImageError> {
        if self.input.cli_auto_prompt && !environment.stdin_is_terminal {
            return Err(PutImageError::Usage(
                "--cli-auto-prompt needs a terminal on standard input".to_owned(),
            ));
        }
        let is_on = matches!(environment.get("AWS_CLI_AUTO_PROMPT"), Some("on" | "on-partial"));
        let asks = self.input.cli_auto_prompt || (is_on && !self.input.no_cli_auto_prompt);
        Ok(asks && environment.stdin_is_terminal)
    }

    async fn profile(&self, environment: &Environment) -> Result<Profile, PutImageError> {
        if self.connection.sandbox.is_some() {
            return Ok(Profile::default());
        }
        Profile::load(self.profile_name(environment)).await
    }

    fn profile_name<'a>(&'a self, environment: &'a Environment) -> Option<&'a str> {
        let variable = |name| environment.get(name);
        let option = self.connection.profile.as_deref();
        option
            .or_else(|| variable("AWS_PROFILE"))
            .or_else(|| variable("AWS_DEFAULT_PROFILE"))
    }

    fn format(&self, profile: &Profile, environment: &Environment) -> Result<OutputFormat, PutImageError> {
        let option = self.output.output.as_deref();
        let format = option
            .or_else(|| environment.get("AWS_DEFAULT_OUTPUT"))
            .or_else(|| profile.get("output"));
        format.map_or(Ok(OutputFormat::default()), str::parse)
    }

    /// How ECR is reached.
    fn connect_options(
        &self,
        profile: &Profile,
        sandbox: Option<&Sandbox>,
        environment: &Environment,
    ) -> Result<ConnectOptions, PutImageError> {
        let connection = &self.connection;
        let seconds = |count: u32| Duration::from_secs(count.into());
        let args = ConnectionArgs {
            profile: connection.profile.clone(),
            region: connection.region.as_deref().map(parse_region).transpose()?,
            endpoint_url: connection.endpoint_url.clone(),
            ca_bundle: connection.ca_bundle.clone(),
            no_verify_ssl: connection.no_verify_ssl,
            connect_timeout: seconds(connection.cli_connect_timeout),
            read_timeout: seconds(connection.cli_read_timeout),
            sandbox: connection.sandbox.clone(),
        };
        let options = connect_options(&args, Rate::Auto, sandbox, environment);
        let ca_bundle = || profile.get("ca_bundle").map(PathBuf::from);
        Ok(ConnectOptions {
            ca_bundle: options.ca_bundle.or_else(ca_bundle),
            no_sign_request: connection.no_sign_request,
            ..options
        })
    }
}

fn parse_region(text: &str) -> Result<Region, PutImageError> {
    text.parse().map_err(|_| {
        PutImageError::Other(format!(
            "Provided region_name '{text}' doesn't match a supported format."
        ))
    })
}

impl Session {
    fn warn_of_line_ends(&self, file: &str) {
        let message =
            format!("`{file}` has CRLF line ends, which `file://` reads as LF: the digest is another");
        let help = "`fileb://` keeps the bytes";
        let look = self.printer.err_look();
        self.printer.err(&warning_text(&message, Some(help), look));
    }

    /// Asks for the members that are not set; those that are required until there is an answer.
    fn ask_for_missing(&self, parameters: &mut Parameters) -> Result<(), PutImageError> {
        let missing = parameters.missing_options();
        for member in MEMBERS {
            let option = format!("--{}", member.option);
            let is_asked = missing.contains(&option) || member.name == "imageTag";
            if !is_asked || parameters.has(member.name) {
                continue;
            }
            self.printer.err(&format!("{option}: "));
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line);
            read.map_err(|error| PutImageError::Other(error.to_string()))?;
            let answer = line.trim_end_matches(['\r', '\n']);
            if !answer.is_empty() {
                parameters.set(member.name, answer.to_owned());
            }
        }
        Ok(())
    }
}
