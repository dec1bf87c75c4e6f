//! Causes in what Kiali needs beside the metrics.

use super::*;

#[test]
fn the_better_answer_to_what_kiali_does_not_see_is_told() {
    let blind = || {
        let mut evidence = healthy();
        evidence.home.sight = Ok(Sight::Blind("it cannot reach cluster2".into()));
        evidence
    };
    let cluster = |evidence: &Evidence| {
        let likely = judge(evidence).into_iter().flat_map(|(_, one)| one.likely);
        likely
            .filter_map(|one| one.cluster)
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(&blind()), (vec![1517], vec![]));
    assert_eq!(cluster(&blind()), ["cluster2"]);
    let mut evidence = blind();
    evidence.clusters[1].token = Some(Ok(Token::Refused("401".into())));
    assert_eq!(judged(&evidence), (vec![1504], vec![]));
    evidence.clusters[1].token = None;
    assert_eq!(judged(&evidence), (vec![1523], vec![]));
    let mut evidence = blind();
    evidence.home.sight = Ok(Sight::Blind("it shows namespaces without a login".into()));
    assert_eq!(judged(&evidence), (vec![], vec![]));
    let mut evidence = healthy();
    evidence.home.sight = Ok(Sight::Silent("no answer in 10 s".into()));
    assert_eq!(judged(&evidence), (vec![], vec![1517]));
    let remote = evidence.clusters.remove(1);
    evidence.absent = vec![(remote.name, "no answer".into())];
    assert_eq!(judged(&evidence).0, [1517]);
    assert_eq!(cluster(&evidence), ["cluster2"]);
}

#[test]
fn a_url_that_kiali_asks_is_told_without_credentials() {
    let mut evidence = healthy();
    evidence.home.queried = Ok(Some((
        "https://me:secret@thanos.example?token=secret".into(),
        URL.into(),
    )));
    let mut likely = judge(&evidence).into_iter().flat_map(|(_, one)| one.likely);
    assert_eq!(
        likely.next().unwrap().seen,
        "the Kiali CR has Kiali ask https://thanos.example for metrics, and not http://prometheus.kiali:9090"
    );
}
