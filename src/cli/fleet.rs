//! The clusters that a command is for: a home and its remotes, by `--ctx1`, `--ctx2` and so on.

use clap::builder::ArgAction;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use clap_complete::engine::ArgValueCandidates;

use super::scripts;

/// The clusters of an install.
#[derive(Args, Debug)]
#[group(arg = "ctx1")]
pub struct Fleet {
    /// Context of the home cluster, where Kiali will run
    #[arg(long, value_name = "CONTEXT", env = "AMBIKIALI_CTX1", add = contexts())]
    pub ctx1: String,
    #[command(flatten)]
    pub remotes: Remotes<true>,
    /// Accept 127.0.0.1 as an API server's address for pods (for pods that are local processes)
    #[arg(long)]
    pub allow_loopback: bool,
}

/// Those of an install that is there.
#[derive(Args, Debug)]
pub struct Clusters {
    /// Context of the home cluster [default: as at the last install]
    #[arg(
        long,
        value_name = "CONTEXT",
        env = "AMBIKIALI_CTX1",
        requires = "ctx2",
        add = contexts()
    )]
    pub ctx1: Option<String>,
    #[command(flatten)]
    pub remotes: Remotes<false>,
}

/// In the order of their numbers.
#[derive(Clone, Debug)]
pub struct Remotes<const NEW: bool>(pub Vec<Remote>);

#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Home is 1.
    pub number: usize,
    pub context: String,
    /// Its API server's address for pods of home.
    pub api_server: Option<String>,
}

/// More would be no view for people.
const LAST: usize = 16;

fn context(number: usize) -> String {
    format!("ctx{number}")
}

fn api_server(number: usize) -> String {
    format!("api-server{number}")
}

/// From the kubeconfig alone; no cluster is asked while somebody types.
fn contexts() -> ArgValueCandidates {
    ArgValueCandidates::new(scripts::contexts)
}

impl<const NEW: bool> Args for Remotes<NEW> {
    fn augment_args(command: Command) -> Command {
        let said = match NEW {
            true => {
                "Context of a remote cluster, which Kiali will see; once for each, or --ctx3 and so on"
            }
            false => "Context of a remote cluster, once for each [default: as at the last install]",
        };
        let with_contexts = (2..=LAST).fold(command, |command, number| {
            let argument = Arg::new(context(number))
                .long(context(number))
                .value_name("CONTEXT")
                .env(format!("AMBIKIALI_CTX{number}"))
                .add(contexts());
            command.arg(match number {
                2 => argument
                    .help(said)
                    .action(ArgAction::Append)
                    .required(NEW)
                    .requires("ctx1"),
                _ => argument.hide(true).requires("ctx2"),
            })
        });
        if !NEW {
            return with_contexts;
        }
        (2..=LAST).fold(with_contexts, |command, number| {
            let argument = Arg::new(api_server(number)).long(api_server(number)).value_name("URL");
            let said = "Address of that remote's API server for pods of the home cluster; --api-server3 and so on";
            command.arg(argument.help(said).hide(number > 2))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const NEW: bool> FromArgMatches for Remotes<NEW> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Remotes<NEW>, Error> {
        let one = |name: String| matches.get_one::<String>(&name).cloned();
        let repeated = matches
            .get_many::<String>("ctx2")
            .into_iter()
            .flatten()
            .cloned();
        let mut contexts = repeated
            .enumerate()
            .map(|(i, c)| (i + 2, c))
            .collect::<Vec<_>>();
        let numbered = (3..=LAST).filter_map(|n| Some((n, one(context(n))?)));
        let numbered = numbered.collect::<Vec<_>>();
        let wrong = |text: &str| Err(Error::raw(ErrorKind::ArgumentConflict, format!("{text}\n")));
        if contexts.len() > 1 && !numbered.is_empty() {
            return wrong("name the remotes by --ctx2 alone, or by --ctx2, --ctx3 and so on");
        }
        contexts.extend(numbered);
        let address = |number| if NEW { one(api_server(number)) } else { None };
        let known = |n: &usize| contexts.iter().any(|(number, _)| number == n);
        if let Some(number) = (2..=LAST).find(|n| address(*n).is_some() && !known(n)) {
            return wrong(&format!("--{} is of no context", api_server(number)));
        }
        let remote = |(number, context)| Remote {
            number,
            context,
            api_server: address(number),
        };
        Ok(Remotes(contexts.into_iter().map(remote).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remotes(line: &str) -> Result<Vec<(usize, String, Option<String>)>, String> {
        let home = Arg::new("ctx1").long("ctx1");
        let command = Remotes::<true>::augment_args(Command::new("x").arg(home));
        let words = format!("x --ctx1 a {line}");
        let matches = command.try_get_matches_from(words.split_whitespace());
        let matches = matches.map_err(|error| error.kind().to_string())?;
        let remotes = Remotes::<true>::from_arg_matches(&matches).map_err(|e| e.to_string())?;
        Ok(remotes
            .0
            .into_iter()
            .map(|r| (r.number, r.context, r.api_server))
            .collect())
    }

    #[test]
    fn remotes_are_named_by_one_flag_or_by_numbers() {
        let named = |number, context: &str| (number, context.to_string(), None);
        assert_eq!(remotes("--ctx2 b"), Ok(vec![named(2, "b")]));
        let three = Ok(vec![named(2, "b"), named(3, "c")]);
        assert_eq!(remotes("--ctx2 b --ctx2 c"), three);
        assert_eq!(remotes("--ctx3 c --ctx2 b"), three);
        let at = Some("https://h:1".to_string());
        let with_address = Ok(vec![named(2, "b"), (3, "c".into(), at)]);
        assert_eq!(
            remotes("--ctx2 b --ctx2 c --api-server3 https://h:1"),
            with_address
        );
        for wrong in [
            "",
            "--ctx3 c",
            "--ctx2 b --ctx2 c --ctx3 d",
            "--ctx2 b --api-server3 https://h:1",
        ] {
            assert!(remotes(wrong).is_err(), "{wrong}");
        }
    }
}
