//! Remotes of an install that a cleanup does not reach: remotes that were not named stop it, and forgotten ones are
//! reported.

use anyhow::Result;

use super::Left;
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::{kinds, record};
use crate::last_install;
use crate::mesh::ClusterName;
use crate::planned::{self, Place};
use crate::problem::{Exit, Problem};
use crate::run::Run;
use crate::shell::quoted;

/// Fails if home's record names other remotes: without that record, nothing would tell what is in them.
pub fn all_are_named(run: &Run<'_>, given_up: &[ClusterName]) -> Result<(), Problem> {
    let home = &run.mesh.home;
    let named = |uid: &String| run.mesh.remotes.iter().any(|remote| remote.uid == *uid);
    let remotes = run.on(Step::Namespace, home).record.remotes();
    let left_out = remotes
        .into_iter()
        .find(|(name, uid)| !named(uid) && !given_up.contains(name));
    let Some((name, uid)) = left_out else {
        return Ok(());
    };
    let context = last_install::context(&uid);
    let context = context.map(|context| quoted(&context).into_owned());
    let context = context.unwrap_or_else(|| format!("<context of {name}>"));
    let cause = format!(
        "{}: ConfigMap {}/{}: says that {name} is a remote of this install, but it is not named; nothing was done",
        home.name,
        run.namespace,
        record::NAME
    );
    Err(Problem::new(Exit::Preflight, cause)
        .code(Code::RemoteLeftOut)
        .fix(format!(
            "name it too: --ctx2 {context}; if there is no such cluster, {}",
            record::way_out(home, run.namespace)
        )))
}

/// What stays in unreachable clusters.
pub fn stays(run: &Run<'_>, given_up: &[ClusterName]) -> Result<Vec<Left>> {
    let mut stays = Vec::new();
    let options = run.records[0].stored_options().unwrap_or_default();
    let settings = options.settings();
    for name in given_up {
        let objects = planned::objects(&Place {
            revision: None,
            assigns_users: false,
            cluster: name,
            home: false,
            namespace: run.namespace,
            settings: &settings,
            targets: &[],
        })?;
        for (_, object) in objects {
            stays.push(Left {
                cluster: name.to_string(),
                object: kinds::id(&object)?,
                reason: None,
            });
        }
    }
    Ok(stays)
}
