//! A user's own Prometheus must be scraped successfully.

use crate::support::{exposed, masked, on_two_clusters};

#[test]
fn fault_56_a_prometheus_that_is_not_there_is_no_success_and_one_that_is_verifies() {
    on_two_clusters(async |clusters| {
        // Home's own will stand for the user's, which has no certificate.
        let nothing = ["--prometheus2", "127.0.0.1:1", "--exposure", "http"];
        let ended = clusters.install(&nothing).await.exited(4);
        assert_eq!(
            ended.error(),
            "\
aggregate metrics: cluster2: its Prometheus is not scraped: http://127.0.0.1:1/federate is down: dial tcp 127.0.0.1:1: connect: connection refused
  fix: name the address at which the pods of home reach it: --prometheusN HOST:PORT
"
        );
        let theirs = exposed(clusters.home()).await;
        let ended = clusters.install(&["--prometheus2", &theirs]).await;
        ended.succeeded();
        let verified = clusters.run(&["verify"]).await.succeeded();
        let shown = masked(&verified.stdout);
        let skipped =
            "skipped   exposure       cluster2      its Prometheus is not managed by ambikiali\n";
        assert!(shown.contains(skipped), "{shown}");
        assert!(shown.ends_with("1 skipped, 13 ok\n"), "{shown}");
        clusters.cleaned().await;
    });
}
