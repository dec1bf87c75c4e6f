//! `cleanup` removes what install created, and nothing else.

mod forced;
mod foreign;
mod foreign_kiali;
mod interrupted;
mod stuck;

use ambikiali_sandbox::audit::Request;

use crate::support::{from_an_install, masked, on_two_clusters, progress, unwritten};

pub const CLEAN: &str = "Clean in TIME: nothing from ambikiali is left in cluster1, cluster2\n";

const NOTHING_THERE: &str = "\
cluster1      aggregate metrics   done     nothing to remove
cluster1      cluster prometheus  done     nothing to remove
cluster1      expose prometheus   done     nothing to remove
cluster1      kiali               done     nothing to remove
cluster1      kiali operator      done     nothing to remove
cluster1      namespace           done     nothing to remove
cluster1      remote secret       done     nothing to remove
cluster2      cluster prometheus  done     nothing to remove
cluster2      expose prometheus   done     nothing to remove
cluster2      kiali operator      done     nothing to remove
cluster2      namespace           done     nothing to remove
cluster2      remote cluster      done     nothing to remove
";

#[test]
fn a_cleanup_says_what_it_removes_and_a_second_one_finds_nothing() {
    from_an_install(async |clusters| {
        let first = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&first.stdout), CLEAN);
        assert_eq!(
            progress(&first.stderr),
            "\
cluster1      aggregate metrics   done     removed 4
cluster1      cluster prometheus  done     removed 6
cluster1      expose prometheus   done     removed 3
cluster1      kiali               done     removed with the objects that the operator created for it
cluster1      kiali operator      done     removed 5
cluster1      namespace           done     removed kiali
cluster1      remote secret       done     removed 1
cluster2      cluster prometheus  done     removed 6
cluster2      expose prometheus   done     removed 3
cluster2      kiali operator      done     removed 5
cluster2      namespace           done     removed kiali
cluster2      remote cluster      done     removed with the objects that the operator created for it
"
        );
        let marks = clusters.marks();
        let second = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&second.stdout), CLEAN);
        assert_eq!(progress(&second.stderr), NOTHING_THERE);
        unwritten(&marks);
    });
}

#[test]
fn a_cleanup_of_clusters_without_an_install_finds_nothing_and_writes_nothing() {
    on_two_clusters(async |clusters| {
        let marks = clusters.marks();
        let named = ["cleanup", "--ctx1", "cluster1", "--ctx2", "cluster2"];
        let ended = clusters.run(&named).await.succeeded();
        assert_eq!(masked(&ended.stdout), CLEAN);
        assert_eq!(progress(&ended.stderr), NOTHING_THERE);
        unwritten(&marks);
    });
}

#[test]
fn a_cleanup_strands_nothing_kiali_forgets_its_remotes_first_and_the_operator_outlives_its_crs() {
    from_an_install(async |clusters| {
        let marks = clusters.marks();
        clusters.cleaned().await;
        let logs = marks.map(|mark| mark.requests().unwrap());
        let ours = |log: usize| logs[log].by_agent("ambikiali").writes().but_leases();
        let (home, remote) = (ours(0), ours(1));
        let forgotten = &home[0];
        assert_eq!(forgotten.name, "kiali-multi-cluster-secret");
        assert!(forgotten.at < remote[0].at, "{remote:#?}");
        for log in [0, 1] {
            let all = ours(log);
            let asked = position(&all, |r| is(r, "delete", "kialis"));
            let operator_gone = position(&all, |r| {
                is(r, "delete", "deployments") && r.name == "kiali-operator"
            });
            let let_go = logs[log].iter().rfind(|r| is(r, "update", "kialis"));
            let let_go = &let_go.expect("the operator ran the finalizer").at;
            assert!(all[asked].at < *let_go && *let_go < all[operator_gone].at);
            let last = all.last().expect("writes");
            assert!(is(last, "delete", "namespaces"), "{last:#?}");
        }
    });
}

fn is(request: &Request, verb: &str, resource: &str) -> bool {
    request.verb == verb && request.resource == resource && request.subresource.is_empty()
}

#[track_caller]
fn position(requests: &[Request], which: impl Fn(&Request) -> bool) -> usize {
    requests.iter().position(which).expect("such a request")
}
