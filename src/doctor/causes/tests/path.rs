//! Causes on the way from one cluster to another.

use super::*;

#[test]
fn what_is_not_readable_is_not_ruled_out() {
    let hidden = |kind| {
        let mut evidence = healthy();
        let finding = finding(NAMES[1], Code::NotLookedAt, (kind, "may not be listed"));
        evidence.clusters[1].findings = Ok(vec![finding]);
        judged(&evidence)
    };
    assert_eq!(hidden("Gateways"), (vec![], vec![1211, 1212]));
    assert_eq!(hidden("Secrets"), (vec![], vec![1213, 1214]));
    assert_eq!(hidden("Namespace"), (vec![], vec![1210, 1302]));
    assert_eq!(hidden("ConfigMap"), (vec![], vec![1304]));
    assert_eq!(hidden("DaemonSets"), (vec![], vec![1208, 1209, 1230, 1513]));
    assert_eq!(hidden("NetworkPolicies"), (vec![], vec![1217]));
    assert_eq!(hidden("AuthorizationPolicies"), (vec![], vec![1216]));
    let mut evidence = healthy();
    let unknown = finding(NAMES[1], Code::SyncUnknown, ("Pod", "does not tell"));
    evidence.clusters[1].findings = Ok(vec![unknown]);
    assert_eq!(judged(&evidence), (vec![], vec![1214]));
}

#[test]
fn what_explains_that_connections_fail_is_seen_and_told_alone() {
    let mut failed = flow(Reporter::Source, "cluster1", "Kubernetes");
    failed.flags = "CONNECT".into();
    let failing =
        || with(|metrics| metrics.traffic.as_mut().unwrap().failed = vec![failed.clone()]);
    assert_eq!(judged(&failing()).0, [1508]);
    let mut evidence = failing();
    let no_address = finding(
        NAMES[1],
        Code::EastWestGatewayWithoutAddress,
        ("Gateway", "has no address"),
    );
    evidence.clusters[1].findings = Ok(vec![no_address.clone()]);
    assert_eq!(judged(&evidence).0, [1212]);
    // Nothing is told of what home receives.
    let mut evidence = failing();
    evidence.clusters[0].findings = Ok(vec![no_address]);
    assert_eq!(judged(&evidence).0, [1212, 1508]);
    let seen = judge(&failing())
        .into_iter()
        .flat_map(|(_, one)| one.likely);
    assert_eq!(
        seen.map(|one| one.likelihood).collect::<Vec<_>>(),
        [Likelihood::Seen]
    );
}
