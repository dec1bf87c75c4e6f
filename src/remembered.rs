//! The options of an install, which home's record keeps: an install that names none goes on with those of
//! the last one.

use anyhow::Result;

use crate::code::Code;
use crate::guide::Step;
use crate::images::Images;
use crate::k8s::health::Health;
use crate::k8s::record;
use crate::last_install;
use crate::options::{Asked, Options};
use crate::problem::{self, Exit, Problem};
use crate::run::Run;

pub struct Chosen {
    options: Options,
    images: Images,
    /// What differs from what one might expect, in lines, before anything is written.
    pub said: Vec<String>,
}

impl Chosen {
    /// The run by these.
    pub fn of<'a>(&'a self, run: &Run<'a>) -> Run<'a> {
        Run {
            options: &self.options,
            images: &self.images,
            ..run.clone()
        }
    }
}

pub async fn choose(run: &Run<'_>, asked: &Asked) -> Result<Chosen> {
    let (found, last) = look(run).await?;
    let before = last.clone().unwrap_or_default();
    if !before.is_known() {
        let cause = format!(
            "{}: a newer version of ambikiali ran the last install, and this version does not know its options",
            run.mesh.home.name
        );
        return Err(Problem::new(Exit::Preflight, cause)
            .fix(format!(
                "use that version or a newer one; if nobody ran one, {}",
                record::way_out(&run.mesh.home, run.namespace)
            ))
            .into());
    }
    said_here(run, &before, asked)?;
    let options = before.with(asked);
    let mut said = Vec::new();
    if last.is_some() {
        let changes = before.changes(&options).into_iter();
        said.extend(
            changes.map(|change| format!("option changed since the last install: {change}")),
        );
    }
    if let Some(Health::Failed(why)) = found {
        said.push(format!(
            "cannot read the options of the last install; ConfigMap {}/{}: {why}",
            run.namespace,
            record::NAME
        ));
    }
    if said.is_empty() && !before.is_default() {
        said.push(format!(
            "using the options of the last install: {}",
            before.flags()
        ));
    }
    let images = options.images();
    Ok(Chosen {
        options,
        images,
        said,
    })
}

/// Whoever may write ConfigMaps may write a record, so it alone never chooses what is run or scraped: the
/// user says it, or said it at the last install on this machine.
fn said_here(run: &Run<'_>, before: &Options, asked: &Asked) -> Result<(), Problem> {
    let record = run.on(Step::Namespace, &run.mesh.home).record;
    let last = last_install::choices(&record.id);
    let options = before.of_images_but(&last.options, asked);
    let (mut to_use, mut to_reset) = (Vec::new(), Vec::new());
    if !options.is_default() {
        to_use.push(options.flags());
        to_reset.push(options.flags_back());
    }
    for (cluster, number) in run.mesh.all().zip(1..) {
        let Some(address) = cluster.prometheus.as_ref() else {
            continue;
        };
        if !cluster.prometheus_is_set && last.prometheus.get(&cluster.uid) != Some(address) {
            to_use.push(format!("--prometheus{number} {address}"));
            to_reset.push(format!("--prometheus{number} default"));
        }
    }
    if to_use.is_empty() {
        return Ok(());
    }
    let (to_use, to_reset) = (to_use.join(" "), to_reset.join(" "));
    let cause = format!(
        "{}: ConfigMap {}/{} sets {to_use}, which was not given on this machine; someone else may have written it",
        run.mesh.home.name,
        run.namespace,
        record::NAME
    );
    Err(Problem::new(Exit::Preflight, cause)
        .code(Code::OptionOfRecord)
        .fix(format!(
            "to accept it, run the same command with {to_use}; to use the defaults, with {to_reset}"
        )))
}

/// None without a whole record. That of another home, and rights that are missing, are what the check
/// tells more of.
pub async fn last(run: &Run<'_>) -> Result<Option<Options>> {
    Ok(look(run).await?.1)
}

async fn look(run: &Run<'_>) -> Result<(Option<Health>, Option<Options>)> {
    let scope = run.on(Step::Namespace, &run.mesh.home);
    match record::look(&scope).await {
        Ok(found) => Ok((Some(found), scope.record.stored_options())),
        Err(error) if is_told_later(&error) => Ok((None, None)),
        Err(error) => Err(error),
    }
}

fn is_told_later(error: &anyhow::Error) -> bool {
    let told = [Exit::Conflict, Exit::Unexpected];
    problem::find(error).is_some_and(|problem| told.contains(&problem.exit))
}
