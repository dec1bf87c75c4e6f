//! Parses the command line, and generates shell completion and man pages from its definition.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;

use super::{Cli, Command, Output, fleet};
use crate::folder::Folder;
use crate::problem::Exit;
use crate::{limit, mesh, out, ui, visible};

/// Time limit for the completion of contexts.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub struct Completions {
    /// Shell to generate the script for
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

impl Shell {
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        }
    }
}

#[derive(Args, Debug)]
pub struct Man {
    /// Folder to write the pages to
    pub folder: PathBuf,
}

/// Variable that the completion script sets when it asks this program for completions.
const COMPLETE_VAR: &str = "COMPLETE";

/// Parses the command line. After printing an error or the help, returns the exit code.
pub fn parse() -> Result<Cli, u8> {
    let mut command = Cli::command();
    // Started as a kubectl plugin: show that name in the help.
    let program = std::env::args_os().next().map(PathBuf::from);
    let name = program
        .as_deref()
        .and_then(Path::file_stem)
        .map(OsStr::to_owned);
    if name.is_some_and(|name| name == "kubectl-ambikiali") {
        command = command.bin_name("kubectl ambikiali");
    }
    let matches = command.clone().try_get_matches();
    let matches = matches.map_err(|error| print_error(without_secrets(error)))?;
    let typed = |m: &ArgMatches| m.value_source("namespace") != Some(ValueSource::DefaultValue);
    let namespace_typed = matches
        .subcommand()
        .is_some_and(|(_, matches)| typed(matches));
    let valid = matches
        .subcommand()
        .map_or(Ok(()), |(_, m)| fleet::validate(m));
    let cli = valid.and_then(|()| Cli::from_arg_matches(&matches));
    let cli = cli.and_then(has_format);
    let cli = cli.map(|mut cli| {
        cli.global.namespace_typed = namespace_typed;
        cli
    });
    cli.map_err(|error| {
        command.build();
        let asked = matches.subcommand_name().unwrap_or_default();
        print_error(match command.find_subcommand_mut(asked) {
            Some(command) => error.format(command),
            None => error.format(&mut command),
        })
    })
}

/// Only a report of doctor is written in Markdown.
fn has_format(cli: Cli) -> Result<Cli, clap::Error> {
    let is_doctor = matches!(cli.command, Command::Doctor(_));
    match cli.global.output {
        Output::Markdown if !is_doctor => Err(clap::Error::raw(
            ErrorKind::ArgumentConflict,
            "-o markdown is only for doctor; use text, json, yaml or jsonl",
        )),
        _ => Ok(cli),
    }
}

/// An invalid URL or address may contain a password, and clap's error repeats the value. This one gives the reason alone.
fn without_secrets(error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if !["URL", "HOST:PORT"].iter().any(|form| flag.contains(form)) {
        return error;
    }
    let Some(cause) = error.source() else {
        return error;
    };
    let text =
        format!("invalid value for '{flag}': {cause}\n\nFor more information, try '--help'.\n");
    clap::Error::raw(error.kind(), text)
}

/// Prints help to stdout and errors to stderr. Errors with control characters are escaped, which clap does not.
fn print_error(error: clap::Error) -> u8 {
    let words = error.render().to_string();
    if words.contains(|c| c != '\n' && visible::is_hidden(c)) {
        ui::refused(&words);
    } else if let Err(fault) = error.print()
        && !error.use_stderr()
    {
        out::broken(fault);
    }
    u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8)
}

/// Answers a request for completions and exits; returns if there is none.
pub fn complete() {
    CompleteEnv::with_factory(Cli::command)
        .var(COMPLETE_VAR)
        .complete();
}

/// The completion script of a shell.
pub fn completions(shell: Shell) -> anyhow::Result<String> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell.name()).context("unknown shell")?;
    let (program, mut script) = ("ambikiali", Vec::new());
    shell.write_registration(COMPLETE_VAR, program, program, program, &mut script)?;
    Ok(String::from_utf8(script)?)
}

/// Writes the man pages and returns their names: `ambikiali.1`, `ambikiali-check.1` and so on.
pub fn man(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let subcommands = command.get_subcommands().filter(|c| !c.is_hide_set());
    let pages = std::iter::once(&command).chain(subcommands).map(|command| {
        let (page, mut text) = (clap_mangen::Man::new(command.clone()), Vec::new());
        page.render(&mut text)?;
        Ok((page.get_filename(), text))
    });
    let pages = pages.collect::<anyhow::Result<Vec<_>>>()?;
    let failed = || format!("cannot write man pages to {}", path.display());
    let folder = Folder::open(path).with_context(failed)?;
    for (name, _) in &pages {
        folder.check(name)?;
    }
    for (name, text) in &pages {
        folder.write(name, text).with_context(failed)?;
    }
    Ok(pages.into_iter().map(|(name, _)| name).collect())
}

/// The contexts for completion; empty if the kubeconfig cannot be read.
pub fn contexts() -> Vec<CompletionCandidate> {
    limit::begin(TIMEOUT);
    let names = mesh::contexts(&[]).unwrap_or_default();
    // A shell writes them to the terminal without escaping.
    let names = names
        .into_iter()
        .filter(|name| !name.contains(visible::is_hidden));
    names.map(CompletionCandidate::new).collect()
}
