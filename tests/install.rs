//! `install`: the guide's objects, once.

use crate::support::{masked, on_two_clusters, progress};

#[test]
fn an_install_says_what_it_does_and_a_second_one_writes_nothing() {
    on_two_clusters(async |clusters| {
        let first = clusters.install(&[]).await.succeeded();
        assert_eq!(
            masked(&first.stdout),
            "\
Ready in TIME: Kiali in cluster1 sees cluster1, cluster2
Next:  ambikiali verify
       ambikiali dashboard
"
        );
        assert_eq!(
            progress(&first.stderr),
            "\
cluster1      aggregate metrics   done     created 3; scrapes 2 clusters
cluster1      cluster prometheus  done     created 6
cluster1      expose prometheus   done     http://ADDRESS:9090/federate
cluster1      kiali               done     sees cluster1, cluster2
cluster1      kiali operator      done     created 4
cluster1      namespace           done     kiali created
cluster1      remote secret       done     created 1 for cluster2
cluster2      cluster prometheus  done     created 6
cluster2      expose prometheus   done     http://ADDRESS:9090/federate
cluster2      kiali operator      done     created 4
cluster2      namespace           done     kiali created
cluster2      remote cluster      done     created 1
"
        );
        let marks = clusters.marks();
        clusters.install(&[]).await.succeeded();
        for mark in marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            assert_eq!(writes.len(), 0, "{writes:#?}");
        }
        clusters.cleaned().await;
    });
}
