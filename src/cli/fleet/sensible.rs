//! What no flag can say by itself.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Error};

use super::{context, wrong};
use crate::cli::file::LAST;

/// Home and remotes are named together, unless some remotes leave a
/// home that is known; and by flags or by a file.
pub fn sensible(matches: &ArgMatches) -> Result<(), Error> {
    let named = |id: &str| matches.try_get_one::<String>(id).ok().flatten();
    let numbers = || (1..=LAST).filter(|n| named(&context(*n)).is_some());
    if matches!(matches.try_get_one::<PathBuf>("file"), Ok(Some(_))) {
        let typed =
            |n: &usize| matches.value_source(&context(*n)) == Some(ValueSource::CommandLine);
        return match numbers().find(typed) {
            Some(number) => wrong(&format!("--ctx{number} cannot be used with --file")),
            None => Ok(()),
        };
    }
    let only = matches.try_get_one::<bool>("only").ok().flatten() == Some(&true);
    let home = named("ctx1");
    if home.is_none() && numbers().next().is_some() && !only {
        let text = "--ctx2 needs --ctx1; omit both to use the clusters of the last install";
        return Err(Error::raw(ErrorKind::MissingRequiredArgument, text));
    }
    let repeated = matches.try_get_many::<String>("ctx2").ok().flatten();
    let mut remotes = repeated
        .into_iter()
        .flatten()
        .chain((3..=LAST).filter_map(|n| named(&context(n))));
    if only && remotes.any(|context| Some(context) == home) {
        return wrong(
            "--only takes remotes, not home; to remove the whole install: ambikiali cleanup",
        );
    }
    Ok(())
}
