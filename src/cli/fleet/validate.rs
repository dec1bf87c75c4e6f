//! Validates combinations of the clusters' flags that clap cannot express.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Error};

use super::{conflict, context};
use crate::cli::file::LAST;

/// Home and remotes must be given together, except with --only and for rotate, and either by flags or by a file.
pub fn validate(matches: &ArgMatches) -> Result<(), Error> {
    let named = |id: &str| matches.try_get_one::<String>(id).ok().flatten();
    let numbers = || (1..=LAST).filter(|n| named(&context(*n)).is_some());
    if matches!(matches.try_get_one::<PathBuf>("file"), Ok(Some(_))) {
        let typed =
            |n: &usize| matches.value_source(&context(*n)) == Some(ValueSource::CommandLine);
        return match numbers().find(typed) {
            Some(number) => conflict(&format!("--ctx{number} cannot be used with --file")),
            None => Ok(()),
        };
    }
    let only = matches.try_get_one::<bool>("only").ok().flatten() == Some(&true);
    let home = named("ctx1");
    let rotates = matches.try_contains_id("if_older").is_ok();
    if home.is_none() && numbers().next().is_some() && !only && !rotates {
        let text = "--ctx2 needs --ctx1; omit both to use the clusters of the last install";
        return Err(Error::raw(ErrorKind::MissingRequiredArgument, text));
    }
    let repeated = matches.try_get_many::<String>("ctx2").ok().flatten();
    let mut remotes = repeated
        .into_iter()
        .flatten()
        .chain((3..=LAST).filter_map(|n| named(&context(n))));
    if only && remotes.any(|context| Some(context) == home) {
        return conflict(
            "--only takes remotes, not home; to remove the whole install: ambikiali cleanup",
        );
    }
    Ok(())
}
