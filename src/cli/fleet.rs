//! The clusters that a command is for: a home and its remotes, by `--ctx1`, `--ctx2` and so on.

use std::path::PathBuf;

use clap::builder::ArgAction;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use clap_complete::engine::ArgValueCandidates;

use super::file::LAST;
use super::scripts;
use crate::mesh::{Address, ClusterName};

/// The clusters of an install.
#[derive(Args, Debug)]
#[group(args = ["ctx1", "file"])]
pub struct Fleet {
    /// Context of the home cluster, where Kiali will run
    #[arg(
        long,
        value_name = "CONTEXT",
        env = "AMBIKIALI_CTX1",
        required_unless_present = "file",
        add = contexts()
    )]
    pub ctx1: Option<String>,
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

/// The remotes in the order of their numbers, and what is said of home besides its context.
#[derive(Clone, Debug)]
pub struct Remotes<const NEW: bool> {
    /// All clusters, instead of flags.
    pub file: Option<PathBuf>,
    pub home: Own,
    pub all: Vec<Remote>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Home is 1.
    pub number: usize,
    pub context: String,
    pub own: Own,
}

/// What may be said of a single cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Where its context is looked up, and nowhere else.
    pub kubeconfig: Option<PathBuf>,
    /// What it must be called.
    pub name: Option<ClusterName>,
    /// Its API server's address for pods of home.
    pub api_server: Option<String>,
    /// Where a Prometheus of its own is scraped.
    pub prometheus: Option<Address>,
}

fn context(number: usize) -> String {
    format!("ctx{number}")
}

/// A flag for a single cluster, by its number.
struct Flag {
    name: &'static str,
    value: &'static str,
    /// The first cluster that it is for.
    first: usize,
    /// Only of use to an install that is to come.
    new: bool,
    said: &'static str,
}

const FLAGS: [Flag; 4] = [
    Flag {
        name: "api-server",
        value: "URL",
        first: 2,
        new: true,
        said: "Address of that remote's API server for pods of the home cluster; --api-server3 and so on",
    },
    Flag {
        name: "prometheus",
        value: "HOST:PORT",
        first: 1,
        new: true,
        said: "Prometheus of that cluster, which is scraped in place of one of ours; --prometheus1 and so on",
    },
    Flag {
        name: "name",
        value: "NAME",
        first: 1,
        new: false,
        said: "Istio cluster id that this context must lead to; --name1 and so on",
    },
    Flag {
        name: "kubeconfig",
        value: "FILE",
        first: 1,
        new: false,
        said: "Kubeconfig for that context alone; --kubeconfig1 and so on",
    },
];

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
                2 if NEW => argument
                    .help(said)
                    .action(ArgAction::Append)
                    .required_unless_present("file"),
                // Whether home must be named too depends on --only.
                2 => argument.help(said).action(ArgAction::Append),
                _ => argument.hide(true).requires("ctx2"),
            })
        });
        let file = Arg::new("file").long("file").short('f').value_name("FILE");
        let with_file = with_contexts.arg(
            file.value_parser(value_parser!(PathBuf))
                .help("File that names the clusters, instead of --ctx1, --ctx2 and so on"),
        );
        let flags = FLAGS.iter().filter(|flag| NEW || !flag.new);
        let each = flags.flat_map(|flag| (flag.first..=LAST).map(move |number| (flag, number)));
        each.fold(with_file, |command, (flag, number)| {
            let name = format!("{}{number}", flag.name);
            let argument = Arg::new(name.clone()).long(name).value_name(flag.value);
            let argument = match flag.name {
                "name" => argument.value_parser(|text: &str| ClusterName::new(text)),
                "prometheus" => {
                    argument.value_parser(|text: &str| Address::try_from(text.to_string()))
                }
                "kubeconfig" => argument.value_parser(value_parser!(PathBuf)),
                _ => argument,
            };
            command.arg(argument.help(flag.said).hide(number != 2))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const NEW: bool> FromArgMatches for Remotes<NEW> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Remotes<NEW>, Error> {
        let file = matches.get_one::<PathBuf>("file").cloned();
        let contexts = match file {
            Some(_) => Vec::new(),
            None => remotes(matches)?,
        };
        let known = |n: usize| n == 1 || contexts.iter().any(|(number, _)| *number == n);
        for flag in FLAGS.iter().filter(|flag| NEW || !flag.new) {
            let mut numbers = flag.first..=LAST;
            let of_none = |n: &usize| {
                matches.contains_id(&format!("{}{n}", flag.name)) && (file.is_some() || !known(*n))
            };
            if let Some(number) = numbers.find(of_none) {
                return wrong(&format!("--{}{number} is of no context", flag.name));
            }
        }
        let remote = |(number, context)| Remote {
            number,
            context,
            own: own::<NEW>(matches, number),
        };
        Ok(Remotes {
            file,
            home: own::<NEW>(matches, 1),
            all: contexts.into_iter().map(remote).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn wrong<T>(text: &str) -> Result<T, Error> {
    Err(Error::raw(ErrorKind::ArgumentConflict, format!("{text}\n")))
}

/// By `--ctx2` again and again, or by numbers.
fn remotes(matches: &ArgMatches) -> Result<Vec<(usize, String)>, Error> {
    let repeated = matches.get_many::<String>("ctx2").into_iter().flatten();
    let mut contexts = (2..).zip(repeated.cloned()).collect::<Vec<_>>();
    let one = |n: usize| Some((n, matches.get_one::<String>(&context(n))?.clone()));
    let numbered = (3..=LAST).filter_map(one).collect::<Vec<_>>();
    if contexts.len() > 1 && !numbered.is_empty() {
        return wrong("name the remotes by --ctx2 alone, or by --ctx2, --ctx3 and so on");
    }
    contexts.extend(numbered);
    Ok(contexts)
}

/// What no flag can say by itself: home and remotes are named together, unless some remotes leave a
/// home that is known; and by flags or by a file.
pub fn sensible(matches: &ArgMatches) -> Result<(), Error> {
    let named = |id: &str| matches.try_get_one::<String>(id).ok().flatten();
    let numbers = || (1..=LAST).filter(|n| named(&context(*n)).is_some());
    if matches!(matches.try_get_one::<PathBuf>("file"), Ok(Some(_))) {
        let typed =
            |n: &usize| matches.value_source(&context(*n)) == Some(ValueSource::CommandLine);
        return match numbers().find(typed) {
            Some(number) => wrong(&format!("--ctx{number} and --file exclude each other")),
            None => Ok(()),
        };
    }
    let only = matches.try_get_one::<bool>("only").ok().flatten() == Some(&true);
    let home = named("ctx1");
    if home.is_none() && numbers().next().is_some() && !only {
        let text = "--ctx2 needs --ctx1, the home: without both they are as at the last install\n";
        return Err(Error::raw(ErrorKind::MissingRequiredArgument, text));
    }
    let repeated = matches.try_get_many::<String>("ctx2").ok().flatten();
    let mut remotes = repeated
        .into_iter()
        .flatten()
        .chain((3..=LAST).filter_map(|n| named(&context(n))));
    if only && remotes.any(|context| Some(context) == home) {
        return wrong("--only is for remotes; home goes with all of it: ambikiali cleanup");
    }
    Ok(())
}

fn own<const NEW: bool>(matches: &ArgMatches, number: usize) -> Own {
    fn get<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, flag: String) -> Option<T> {
        matches.try_get_one::<T>(&flag).ok().flatten().cloned()
    }
    Own {
        kubeconfig: get(matches, format!("kubeconfig{number}")),
        name: get(matches, format!("name{number}")),
        api_server: get(matches, format!("api-server{number}")),
        prometheus: get(matches, format!("prometheus{number}")),
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
            .all
            .into_iter()
            .map(|r| (r.number, r.context, r.own.api_server))
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
