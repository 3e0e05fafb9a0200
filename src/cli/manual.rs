//! `completions` and `man`: what shells and `man` know of this program.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Cli, CliError, Exit, Session};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag completions bash > ~/.local/share/bash-completion/completions/ecr-retag
  ecr-retag completions zsh > \"${fpath[1]}/_ecr-retag\"
  ecr-retag completions fish > ~/.config/fish/completions/ecr-retag.fish
  ecr-retag completions powershell >> $PROFILE")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag man > ~/.local/share/man/man1/ecr-retag.1
  ecr-retag man | man -l -")]
pub(super) struct ManArgs {}

pub(super) fn completions(session: &Session, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    session.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints the page of the program, then those of its commands.
pub(super) fn man(session: &Session, _: &ManArgs) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    push_pages(command, &mut pages).map_err(|source| CliError::Write {
        path: "standard output".into(),
        source,
    })?;
    session.print(&String::from_utf8_lossy(&pages))?;
    Ok(Exit::Done)
}

fn push_pages(command: clap::Command, pages: &mut Vec<u8>) -> std::io::Result<()> {
    let subcommands: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let examples = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command).source(concat!("ecr-retag ", env!("CARGO_PKG_VERSION")));
    man.render_title(pages)?;
    man.render_name_section(pages)?;
    man.render_synopsis_section(pages)?;
    man.render_description_section(pages)?;
    man.render_options_section(pages)?;
    if !subcommands.is_empty() {
        man.render_subcommands_section(pages)?;
    }
    if let Some(text) = examples {
        let (heading, lines) = match text.split_once('\n') {
            Some(("Examples:", lines)) => ("EXAMPLES", lines),
            _ => ("EXIT STATUS", text.as_str()),
        };
        let mut page = Roff::new();
        page.control("SH", [heading])
            .control("nf", [])
            .text([roman(lines)])
            .control("fi", []);
        page.to_writer(pages)?;
    }
    for subcommand in subcommands {
        if subcommand.get_name() != "help" {
            push_pages(subcommand, pages)?;
        }
    }
    Ok(())
}
