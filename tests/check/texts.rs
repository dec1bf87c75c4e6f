//! The texts of findings, without any cluster.

use std::path::Path;

use crate::support::ambikiali;

const NOWHERE: &str = "/nonexistent";

#[tokio::test]
async fn a_code_is_explained_without_a_cluster() {
    let nowhere = Path::new(NOWHERE);
    let ended = ambikiali(&["explain", "ak1103"], nowhere, nowhere)
        .await
        .succeeded();
    assert_eq!(
        ended.stdout,
        "\
error[AK1103]: no GatewayClass istio

istiod creates GatewayClass `istio` by itself if it finds the CRDs of the Gateway API when it starts. If the
CRDs were installed later, restart istiod.

    kubectl --context CONTEXT -n istio-system rollout restart deployment istiod
"
    );
    let unknown = ambikiali(&["explain", "AK1"], nowhere, nowhere)
        .await
        .exited(2);
    assert!(
        unknown.stderr.contains("no finding has the code \"AK1\""),
        "{unknown:#?}"
    );
}

#[tokio::test]
async fn all_codes_are_listed_without_a_cluster() {
    let nowhere = Path::new(NOWHERE);
    let ended = ambikiali(&["check", "--list"], nowhere, nowhere)
        .await
        .succeeded();
    let headings = include_str!("../../docs/codes.md").lines();
    let headings = headings.filter_map(|line| line.strip_prefix("## "));
    let spaced = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let listed = ended.stdout.lines().map(spaced);
    let expected = headings.map(|line| line.replacen(':', "", 1));
    assert_eq!(listed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
