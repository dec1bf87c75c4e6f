//! Causes in the workloads of the mesh.

use super::*;

#[test]
fn a_policy_denies_a_service_only_if_no_other_allows_it() {
    let held = |policies: Vec<Policy>| {
        let mut evidence = healthy();
        evidence.clusters[1].policies = Ok(policies);
        judged(&evidence).0
    };
    let nobody = policy("istio-system", Effect::AllowsNone);
    assert_eq!(held(vec![nobody.clone()]), [1514]);
    assert_eq!(
        held(vec![nobody.clone(), policy("sample", Effect::AllowsSome)]),
        [0; 0]
    );
    assert_eq!(
        held(vec![nobody.clone(), policy("other", Effect::AllowsSome)]),
        [1514]
    );
    assert_eq!(held(vec![policy("other", Effect::DeniesAll)]), [0; 0]);
    let all = policy("sample", Effect::DeniesAll);
    assert_eq!(
        held(vec![all.clone(), policy("sample", Effect::AllowsSome)]),
        [1514]
    );
    let for_others = Policy {
        selector: labels("other"),
        ..all
    };
    assert_eq!(held(vec![for_others]), [0; 0]);
    // Nobody expects traffic to a Service that is not global, unless it is asked for.
    let mut evidence = healthy();
    for cluster in &mut evidence.clusters {
        cluster.services = Ok(vec![service(false)]);
        cluster.policies = Ok(vec![nobody.clone()]);
    }
    assert_eq!(judged(&evidence).0, [0; 0]);
    evidence.question.service = Some("helloworld".into());
    assert_eq!(judged(&evidence).0, [1514, 1514]);
}

#[test]
fn a_service_is_compared_with_that_of_the_same_name() {
    let mut evidence = healthy();
    evidence.clusters[1].services = Ok(vec![service(false)]);
    assert_eq!(judged(&evidence), (vec![1515], vec![]));
    evidence.clusters[1].services = Ok(vec![]);
    assert_eq!(judged(&evidence), (vec![], vec![]));
    evidence.clusters[1].services = Err("403".into());
    assert_eq!(
        judged(&evidence),
        (vec![], vec![1516, 1514, 1515, 1515, 1524])
    );
}

#[test]
fn pods_that_are_left_out_count_only_behind_a_service_of_the_mesh() {
    let pod = |namespace: &str, app| LeftOut {
        namespace: namespace.into(),
        labels: labels(app),
    };
    let mut evidence = healthy();
    evidence.clusters[1].left_out = Ok(vec![pod("sample", "job"), pod("other", "helloworld")]);
    assert_eq!(judged(&evidence), (vec![], vec![]));
    evidence.clusters[1].left_out = Ok(vec![pod("sample", "helloworld")]);
    assert_eq!(judged(&evidence), (vec![1516], vec![]));
}

#[test]
fn pods_without_the_annotation_count_only_where_istio_cni_gives_it() {
    let missed = |namespace: &str| Redirection {
        missed: vec![LeftOut {
            namespace: namespace.into(),
            labels: labels("helloworld"),
        }],
        is_seen: false,
    };
    let mut evidence = healthy();
    evidence.clusters[1].redirection = Ok(missed("sample"));
    assert_eq!(judged(&evidence), (vec![], vec![]));
    // The pods of another cluster show it.
    evidence.clusters[0].redirection = Ok(Redirection {
        is_seen: true,
        ..Redirection::default()
    });
    assert_eq!(judged(&evidence), (vec![1516], vec![]));
    evidence.clusters[1].redirection = Ok(missed("other"));
    assert_eq!(judged(&evidence), (vec![], vec![]));
    evidence.clusters[1].redirection = Err("may not list pods".into());
    assert_eq!(judged(&evidence), (vec![], vec![1516]));
}

#[test]
fn a_waypoint_is_missed_only_where_its_traffic_comes() {
    let with = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = healthy();
        let mut through = service(true);
        through.waypoint = Some("waypoint".into());
        evidence.clusters[1].services = Ok(vec![through]);
        change(&mut evidence);
        judged(&evidence)
    };
    assert_eq!(with(&|_| ()), (vec![1524], vec![]));
    let collected = |evidence: &mut Evidence| {
        evidence.metrics.as_mut().unwrap().waypoints = Ok(vec!["cluster2".into()]);
    };
    assert_eq!(with(&collected), (vec![], vec![]));
    let other = |evidence: &mut Evidence| {
        let traffic = &mut evidence.metrics.as_mut().unwrap().traffic;
        traffic.as_mut().unwrap().moved = vec![flow(Reporter::Source, "cluster1", "cluster1")];
    };
    assert_eq!(with(&other), (vec![], vec![]));
}

#[test]
fn a_service_has_the_waypoint_of_its_namespace_unless_it_has_its_own() {
    let of = |own: Option<&str>, namespace: Option<&str>| {
        let service = Service {
            waypoint: own.map(Into::into),
            ..service(true)
        };
        service
            .within(namespace.map(String::from).as_ref())
            .waypoint
    };
    assert_eq!(of(None, None), None);
    assert_eq!(of(None, Some("a")), Some("a".into()));
    assert_eq!(of(Some("b"), Some("a")), Some("b".into()));
    assert_eq!(of(Some("none"), Some("a")), None);
}
