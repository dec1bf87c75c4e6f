//! Compares the clusters: what must be the same in all clusters of a mesh, and what must differ.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::Finding;
use super::facts::{Facts, Looked};
use super::mesh_config::{self, shown};
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::record;
use crate::last_install;
use crate::mesh::ClusterName;
use crate::progress::ObjectId;

/// Compares each remote with home. Remotes that were not named are only known if all clusters answered.
pub fn compare(all: &[Facts<'_>], namespace: &str, complete: bool) -> Vec<Finding> {
    let Some((home, remotes)) = all.split_first() else {
        return Vec::new();
    };
    let pairs = remotes.iter().flat_map(|remote| pair(home, remote));
    pairs
        .chain(all.iter().filter_map(mesh_config::judge))
        .chain(
            all.iter()
                .filter_map(|facts| swapped(home, facts, namespace)),
        )
        .chain(
            left_out(home, all, namespace)
                .into_iter()
                .filter(|_| complete),
        )
        .collect()
}

/// Remotes that home's record names and the user does not.
fn left_out(home: &Facts<'_>, all: &[Facts<'_>], namespace: &str) -> Vec<Finding> {
    let claims = home.claims.clone();
    let record = claims.filter(|record| record.home.1 == home.cluster.uid);
    let parties = record.into_iter().flat_map(|record| record.all);
    // A cluster that was recreated has the same name.
    let is_named = |(name, uid): &(ClusterName, String)| {
        let mut named = all.iter().map(|facts| facts.cluster);
        named.any(|c| *uid == c.uid || *name == c.name)
    };
    let left_out = parties.filter(|party| !is_named(party));
    let finding = |(name, uid): (ClusterName, String)| {
        let context = last_install::context(&uid);
        let context = context.unwrap_or_else(|| format!("<context of {name}>"));
        let object = ObjectId::new("ConfigMap", namespace, record::NAME);
        let cause = format!("says that {name} is a remote of this install, but it is not named");
        let finding = Finding::new(Code::RemoteLeftOut, home.cluster, object, cause);
        finding.fix(format!(
            "name it too (--ctx2 {context}), or remove it: ambikiali cleanup --ctx1 {} --ctx2 {context} --only",
            home.cluster.context
        ))
    };
    left_out.map(finding).collect()
}

/// Whether the record of an earlier install names another of these clusters as home.
fn swapped(home: &Facts<'_>, facts: &Facts<'_>, namespace: &str) -> Option<Finding> {
    let record = facts.claims.as_ref()?;
    let (then, uid) = &record.home;
    let is_here = record.all.iter().any(|(_, uid)| *uid == home.cluster.uid);
    if *uid == home.cluster.uid || !is_here {
        return None;
    }
    let object = ObjectId::new("ConfigMap", namespace, record::NAME);
    let cause = format!("says that {then} is home, and not {}", home.cluster.name);
    let finding = Finding::new(Code::RolesSwapped, facts.cluster, object, cause);
    Some(finding.fix(format!(
        "name the clusters as at the last install, or clean up before: ambikiali cleanup --ctx1 <context of {then}>; if there is no such cluster, {}",
        record::way_out(facts.cluster, namespace)
    )))
}

fn pair(home: &Facts<'_>, remote: &Facts<'_>) -> Vec<Finding> {
    let name = &home.cluster.name;
    let map = |name: &str| ObjectId::new("ConfigMap", ISTIO_NAMESPACE, name);
    let finding = |code, object, cause| Finding::new(code, remote.cluster, object, cause);
    let of_istio = remote.cluster.revision.config_map();
    let mut findings = Vec::new();
    if let (Some(Ok(a)), Some(Ok(b))) = (mesh_config::of(home), mesh_config::of(remote)) {
        if let (Some(x), Some(y)) = (a.mesh_id(), b.mesh_id())
            && x != y
        {
            let cause = format!("meshId is {}, but {} in {name}", shown(y), shown(x));
            findings.push(
                finding(Code::MeshIdsDiffer, map(&of_istio), cause)
                    .fix("set global.meshID alike and install istiod again"),
            );
        }
        let (x, y) = (a.trust_domain(), b.trust_domain());
        if x != y {
            let cause = format!("trustDomain is {}, but {} in {name}", shown(y), shown(x));
            findings.push(
                finding(Code::TrustDomainsDiffer, map(&of_istio), cause)
                    .fix("set meshConfig.trustDomain alike and install istiod again"),
            );
        }
    }
    if let (Some(x), Some(y)) = (root(home), root(remote))
        && x != y
    {
        let object = map("istio-ca-root-cert");
        let cause = format!("is another root CA than in {name}");
        let page = "https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/";
        findings.push(
            finding(Code::RootCasDiffer, object, cause)
                .fix(format!("give both a common root: {page}")),
        );
    }
    if let (Some(x), Some(y)) = (network(home), network(remote))
        && x == y
    {
        let object = ObjectId::cluster_wide("Namespace", ISTIO_NAMESPACE);
        let cause = format!("is in network {x}, like {name}");
        findings.push(finding(Code::SameNetwork, object, cause));
    }
    findings
}

fn there<T>(looked: &Looked<T>) -> Option<&T> {
    looked.as_ref().ok()?.as_ref()
}

fn data<'a>(map: &'a Looked<ConfigMap>, key: &str) -> Option<&'a str> {
    Some(there(map)?.data.as_ref()?.get(key)?.trim())
}

fn root<'a>(facts: &'a Facts<'_>) -> Option<&'a str> {
    data(&facts.root, "root-cert.pem")
}

fn network<'a>(facts: &'a Facts<'_>) -> Option<&'a String> {
    there(&facts.istio_namespace)?
        .labels()
        .get("topology.istio.io/network")
}
