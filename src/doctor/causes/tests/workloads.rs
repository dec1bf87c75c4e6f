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
    assert_eq!(judged(&evidence), (vec![], vec![1516, 1514, 1515, 1515]));
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
