//! Connects to the clusters of the given contexts, and checks that they are distinct.

use std::path::PathBuf;

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};

use super::kubeconfig::Source;
use super::{Absent, Ca, Cluster, Istiod, Member, Members, Mesh, endpoint, identity, kubeconfig};
use crate::code::Code;
use crate::files;
use crate::problem::{self, Exit, Problem};

/// The names of all contexts in the kubeconfig.
pub fn contexts(files: &[PathBuf]) -> Result<Vec<String>> {
    let source = kubeconfig::read(files)?;
    Ok(source.contexts().map(String::from).collect())
}

/// Each member, home first, with the kubeconfig of its context: its own, or the shared one.
async fn read(members: &Members) -> Result<Vec<(Source, &Member)>> {
    let own = members.clone();
    let sources = files::run_blocking(move || sources(&own)).await?;
    Ok(sources.into_iter().zip(each(members)).collect())
}

fn each(members: &Members) -> impl Iterator<Item = &Member> {
    std::iter::once(&members.home).chain(&members.remotes)
}

fn sources(members: &Members) -> Result<Vec<Source>> {
    let mut shared: Option<Source> = None;
    let mut all = Vec::new();
    for member in each(members) {
        // Report a missing CA file before any request is sent.
        if let Some(Ca::File(file)) = &member.ca {
            endpoint::certificates(file, member.number)?;
        }
        all.push(match (&member.kubeconfig, &shared) {
            (Some(own), _) => kubeconfig::read(std::slice::from_ref(own))?,
            (None, Some(shared)) => shared.clone(),
            (None, None) => shared
                .insert(kubeconfig::read(&members.kubeconfig)?)
                .clone(),
        });
    }
    Ok(all)
}

/// Checks that the kubeconfigs are readable and have the contexts, without a request to any cluster.
pub async fn look_up(members: &Members) -> Result<()> {
    for (source, member) in read(members).await? {
        source.entry(member)?;
    }
    Ok(())
}

/// Connects to all clusters concurrently. Fails on the first error, or if two of them are the same cluster.
pub async fn connect(members: &Members, istiod: Istiod) -> Result<Mesh> {
    let all = read(members).await?;
    let joined = all
        .iter()
        .map(|(c, member)| identity::join(c, member, istiod));
    let clusters = try_join_all(joined).await?;
    Ok(of(clusters)?)
}

/// The first cluster is home.
fn of(mut clusters: Vec<Cluster>) -> Result<Mesh, Problem> {
    distinct(&clusters)?;
    let remotes = clusters.split_off(1);
    let home = clusters.remove(0);
    Ok(Mesh { home, remotes })
}

/// Like `connect`, but returns the errors of all clusters.
pub async fn connect_each(members: &Members) -> Result<Mesh, Vec<anyhow::Error>> {
    let all = read(members).await.map_err(|error| vec![error])?;
    // Report a mistyped context before any request is sent.
    for (source, member) in &all {
        source
            .entry(member)
            .map_err(|problem| vec![problem.into()])?;
    }
    let asked = all
        .iter()
        .map(|(c, member)| identity::join(c, member, Istiod::Required));
    let (joined, errors): (Vec<_>, Vec<_>) =
        join_all(asked).await.into_iter().partition(Result::is_ok);
    let errors = errors
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>();
    if !errors.is_empty() {
        return Err(errors);
    }
    let clusters = joined.into_iter().flatten().collect();
    of(clusters).map_err(|problem| vec![problem.into()])
}

/// Like `connect`, but returns unreachable remotes, and remotes without a usable cluster id, instead of
/// failing. For commands that only read, and for those that can skip remotes. Home must be reachable.
pub async fn connect_reachable(members: &Members, istiod: Istiod) -> Result<(Mesh, Vec<Absent>)> {
    let all = read(members).await?;
    let mut asked = all
        .iter()
        .map(|(c, member)| identity::join(c, member, istiod));
    let home = asked.next().context("a home is named")?;
    let remotes = join_all(asked);
    let (home, asked) = tokio::join!(home, remotes);
    let (home, mut remotes, mut absent) = (home?, Vec::new(), Vec::new());
    for (member, answer) in members.remotes.iter().zip(asked) {
        match answer {
            Ok(cluster) => remotes.push(cluster),
            Err(error) if unreachable(&error) || is_nameless(&error, istiod) => {
                absent.push(left_out(member, error))
            }
            Err(error) => return Err(error),
        }
    }
    let all = std::iter::once(&home)
        .chain(&remotes)
        .cloned()
        .collect::<Vec<_>>();
    distinct(&all)?;
    Ok((Mesh { home, remotes }, absent))
}

fn left_out(member: &Member, error: anyhow::Error) -> Absent {
    Absent {
        name: identity::remembered(member),
        context: member.context.clone(),
        error,
    }
}

/// Connects to the clusters that can be identified, and returns the others with their errors. Only wrong flags and
/// kubeconfigs are failures. For a command that also works without home.
pub async fn connect_some(members: &Members) -> Result<(Vec<Cluster>, Vec<Absent>)> {
    let all = read(members).await?;
    let asked = all
        .iter()
        .map(|(c, member)| identity::join(c, member, Istiod::Optional));
    let (mut clusters, mut absent) = (Vec::new(), Vec::new());
    for (member, answer) in each(members).zip(join_all(asked).await) {
        match answer {
            Ok(cluster) => clusters.push(cluster),
            Err(error) if is_usage(&error) => return Err(error),
            Err(error) => absent.push(left_out(member, error)),
        }
    }
    distinct(&clusters)?;
    Ok((clusters, absent))
}

fn is_usage(error: &anyhow::Error) -> bool {
    let exit = problem::find(error).map(|problem| problem.exit);
    matches!(exit, Some(Exit::Usage | Exit::Preflight))
}

fn unreachable(error: &anyhow::Error) -> bool {
    problem::find(error).is_some_and(|p| p.exit == Exit::Unreachable)
}

/// The cluster is reachable, but has no usable cluster id.
fn is_nameless(error: &anyhow::Error, istiod: Istiod) -> bool {
    let nameless = [
        Code::NoIstiod,
        Code::ClusterIdsDisagree,
        Code::ClusterIdUnusable,
    ];
    let code = problem::find(error).and_then(|problem| problem.code);
    istiod == Istiod::Required && code.is_some_and(|code| nameless.contains(&code))
}

fn distinct(clusters: &[Cluster]) -> Result<(), Problem> {
    for (i, a) in clusters.iter().enumerate() {
        for b in &clusters[i + 1..] {
            if a.uid == b.uid {
                return Err(Problem::new(
                    Exit::Preflight,
                    format!(
                        "contexts {} and {} are the same cluster",
                        a.context, b.context
                    ),
                )
                .code(Code::SameCluster)
                .fix("name two different clusters: kubectl config get-contexts"));
            }
            if a.name == b.name {
                return Err(same_id(a, b));
            }
        }
    }
    Ok(())
}

fn same_id(a: &Cluster, b: &Cluster) -> Problem {
    Problem::new(
        Exit::Preflight,
        format!(
            "contexts {} and {} have the same Istio cluster id \"{}\": Kiali cannot tell them apart",
            a.context, b.context, a.name
        ),
    )
    .code(Code::SameClusterId)
    .fix("set values.global.multiCluster.clusterName on one of them and reinstall its istiod")
}
