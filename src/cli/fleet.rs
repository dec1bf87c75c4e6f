//! The flags that name the clusters of a command: `--ctx1` for home, `--ctx2` and so on for its remotes.

mod flags;
mod validate;

use std::path::PathBuf;

use clap::builder::ArgAction;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use clap_complete::engine::ArgValueCandidates;

use flags::FLAGS;
pub use validate::validate;

use super::file::LAST;
use super::{CLUSTERS, scripts};
use crate::mesh::{ApiServer, Ca, ClusterName, Prometheus, server_name};

/// The clusters of an install.
#[derive(Args, Debug)]
#[group(args = ["ctx1", "file"])]
#[command(next_help_heading = CLUSTERS)]
pub struct Fleet {
    /// Context of the home cluster, which runs Kiali
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
    /// Accept 127.0.0.1 as the address at which pods reach an API server; only for pods that run as local
    /// processes
    #[arg(long)]
    pub allow_loopback: bool,
}

/// The clusters of an existing install.
#[derive(Args, Debug)]
#[command(next_help_heading = CLUSTERS)]
pub struct Clusters {
    /// Context of the home cluster [default: as in the last install]
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

/// The remotes in the order of their numbers, and the other flags of home.
#[derive(Clone, Debug)]
pub struct Remotes<const NEW: bool> {
    /// File that lists all clusters, instead of flags.
    pub file: Option<PathBuf>,
    pub home: ClusterFlags,
    pub all: Vec<Remote>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Number of the cluster in the flags; home is 1.
    pub number: usize,
    pub context: String,
    pub own: ClusterFlags,
}

/// The flags of a single cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterFlags {
    /// The only kubeconfig in which its context is looked up.
    pub kubeconfig: Option<PathBuf>,
    /// The Istio cluster id that it must have.
    pub name: Option<ClusterName>,
    /// The address of its API server for pods in the home cluster.
    pub api_server: Option<ApiServer>,
    /// The CA of that address.
    pub ca: Option<Ca>,
    /// The server name in the certificate of that address.
    pub tls_server_name: Option<String>,
    /// The user's own Prometheus, scraped instead of an installed one.
    pub prometheus: Option<Prometheus>,
}

fn context(number: usize) -> String {
    format!("ctx{number}")
}

/// Completes contexts from the kubeconfig, without a request to any cluster.
fn contexts() -> ArgValueCandidates {
    ArgValueCandidates::new(scripts::contexts)
}

impl<const NEW: bool> Args for Remotes<NEW> {
    fn augment_args(command: Command) -> Command {
        let said = match NEW {
            true => {
                "Context of a remote cluster; for more remotes, repeat it or use --ctx3, --ctx4, ..."
            }
            false => {
                "Context of a remote cluster; repeat for more remotes [default: as in the last install]"
            }
        };
        let with_contexts = (2..=LAST).fold(command, |command, number| {
            let argument = Arg::new(context(number))
                .long(context(number))
                .value_name("CONTEXT")
                .env(format!("AMBIKIALI_CTX{number}"))
                .add(contexts())
                .help_heading(CLUSTERS);
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
                .help("File that lists the clusters; replaces --ctx1, --ctx2, ...")
                .help_heading(CLUSTERS),
        );
        let flags = FLAGS.iter().filter(|flag| NEW || !flag.new);
        let each = flags.flat_map(|flag| (flag.first..=LAST).map(move |number| (flag, number)));
        each.fold(with_file, |command, (flag, number)| {
            let name = format!("{}{number}", flag.name);
            let argument = Arg::new(name.clone()).long(name).value_name(flag.value);
            let argument = match flag.name {
                "name" => argument.value_parser(|text: &str| ClusterName::new(text)),
                "prometheus" => {
                    argument.value_parser(|text: &str| Prometheus::try_from(text.to_string()))
                }
                "kubeconfig" | "ca" => argument.value_parser(value_parser!(PathBuf)),
                "tls-server-name" => argument.value_parser(named_server),
                _ => argument,
            };
            let argument = argument.help(flag.said).help_heading(flag.heading);
            command.arg(argument.hide(number != 2))
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
            let without_cluster = |n: &usize| {
                matches.contains_id(&format!("{}{n}", flag.name)) && (file.is_some() || !known(*n))
            };
            if let Some(number) = numbers.find(without_cluster) {
                let flag = flag.name;
                return conflict(&match file {
                    Some(_) => format!("--{flag}{number} cannot be used with --file"),
                    None => format!("--{flag}{number} needs --ctx{number}"),
                });
            }
        }
        let remote = |(number, context)| {
            let own = own::<NEW>(matches, number)?;
            Ok(Remote {
                number,
                context,
                own,
            })
        };
        Ok(Remotes {
            file,
            home: own::<NEW>(matches, 1)?,
            all: contexts
                .into_iter()
                .map(remote)
                .collect::<Result<_, Error>>()?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn named_server(name: &str) -> Result<String, String> {
    server_name(name).map(|()| name.into())
}

fn conflict<T>(text: &str) -> Result<T, Error> {
    Err(Error::raw(ErrorKind::ArgumentConflict, text))
}

/// The remotes, given by a repeated `--ctx2` or by `--ctx2`, `--ctx3` and so on.
fn remotes(matches: &ArgMatches) -> Result<Vec<(usize, String)>, Error> {
    let repeated = matches.get_many::<String>("ctx2").into_iter().flatten();
    let mut contexts = (2..).zip(repeated.cloned()).collect::<Vec<_>>();
    let one = |n: usize| Some((n, matches.get_one::<String>(&context(n))?.clone()));
    let numbered = (3..=LAST).filter_map(one).collect::<Vec<_>>();
    if contexts.len() > 1 && !numbered.is_empty() {
        return conflict("repeat --ctx2 or number the remotes (--ctx2, --ctx3, ...), not both");
    }
    contexts.extend(numbered);
    Ok(contexts)
}

fn own<const NEW: bool>(matches: &ArgMatches, number: usize) -> Result<ClusterFlags, Error> {
    fn get<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, flag: String) -> Option<T> {
        matches.try_get_one::<T>(&flag).ok().flatten().cloned()
    }
    // clap's value_parser is not used, because its error repeats the value, which may contain a password.
    let flag = format!("api-server{number}");
    let api_server = match get::<String>(matches, flag.clone()).map(ApiServer::try_from) {
        Some(Err(fault)) => {
            let text = format!("--{flag}: {fault}");
            return Err(Error::raw(ErrorKind::ValueValidation, text));
        }
        read => read.and_then(Result::ok),
    };
    Ok(ClusterFlags {
        kubeconfig: get(matches, format!("kubeconfig{number}")),
        name: get(matches, format!("name{number}")),
        api_server,
        ca: get::<PathBuf>(matches, format!("ca{number}")).map(Ca::from),
        tls_server_name: get(matches, format!("tls-server-name{number}")),
        prometheus: get(matches, format!("prometheus{number}")),
    })
}

#[cfg(test)]
mod tests;
