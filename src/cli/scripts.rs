//! What is generated from the definition of the command line: completion for shells, man pages.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;

use super::{Cli, Command, Output, fleet};
use crate::mesh;

/// Set by the script that a shell has: it asks this program for what may come next.
const ASKED: &str = "COMPLETE";

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell; its own instructions say where to put the script
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

#[derive(Args, Debug)]
pub struct Man {
    /// Folder for the pages
    pub folder: PathBuf,
}

/// Ends with exit code 2 and a word on what is wrong with it, or with the help that was asked for.
pub fn parse() -> Cli {
    let mut command = Cli::command();
    // As kubectl starts a plugin: the help names what the user typed.
    let program = std::env::args_os().next().map(PathBuf::from);
    let name = program
        .as_deref()
        .and_then(Path::file_stem)
        .map(OsStr::to_owned);
    if name.is_some_and(|name| name == "kubectl-ambikiali") {
        command = command.bin_name("kubectl ambikiali");
    }
    let matches = command.clone().get_matches();
    let typed = |m: &ArgMatches| m.value_source("namespace") != Some(ValueSource::DefaultValue);
    let namespace_typed = matches
        .subcommand()
        .is_some_and(|(_, matches)| typed(matches));
    let sensible = matches
        .subcommand()
        .map_or(Ok(()), |(_, m)| fleet::sensible(m));
    let cli = sensible.and_then(|()| Cli::from_arg_matches(&matches));
    let cli = cli.and_then(with_a_document);
    let cli = cli.map(|mut cli| {
        cli.global.namespace_typed = namespace_typed;
        cli
    });
    cli.unwrap_or_else(|error| error.format(&mut command).exit())
}

/// What goes on until it is ended, and what is for a shell, has no result to make a document of.
fn with_a_document(cli: Cli) -> Result<Cli, clap::Error> {
    use Command::{Completions, Dashboard, Man};
    let none = matches!(cli.command, Dashboard(_) | Completions(_) | Man(_));
    if none && cli.global.output != Output::Text {
        let text = "this command has no result for --output\n";
        return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
    }
    Ok(cli)
}

/// Answers a shell, and ends; else returns.
pub fn complete() {
    CompleteEnv::with_factory(Cli::command)
        .var(ASKED)
        .complete();
}

/// The script for a shell's own settings.
pub fn completions(shell: Shell) -> Result<String> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Elvish => "elvish",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name).context("a shell that is known")?;
    let (program, mut script) = ("ambikiali", Vec::new());
    shell.write_registration(ASKED, program, program, program, &mut script)?;
    Ok(String::from_utf8(script)?)
}

/// `ambikiali.1`, `ambikiali-install.1` and so on.
pub fn man(folder: &Path) -> Result<()> {
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write man pages to {}", folder.display()))
}

/// None where there is no kubeconfig to read.
pub fn contexts() -> Vec<CompletionCandidate> {
    let names = mesh::contexts(&[]).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}
