//! The record and the Lease cannot be shared: foreign objects with these names are not changed.

use super::RECORD;
use crate::support::{Clusters, Foreign, get, on_two_clusters};

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
";

const MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: ambikiali-record, namespace: kiali}
data: {theirs: 'yes'}
";

const LEASE: &str = "
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: ambikiali, namespace: kiali}
spec: {holderIdentity: theirs, leaseDurationSeconds: 1}
";

async fn refused(clusters: &Clusters) -> String {
    clusters.install(&[]).await.exited(9).error()
}

#[test]
fn an_object_of_somebody_under_the_name_of_the_record_or_the_lease_is_left_and_named() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let namespace = Foreign::apply(home, NAMESPACE).await;
        let map = Foreign::apply(home, MAP).await;
        let before = get(home, RECORD.0, RECORD.1, RECORD.2).await;
        assert_eq!(
            refused(clusters).await,
            "\
namespace: cluster1: ConfigMap kiali/ambikiali-record already exists and was not created by ambikiali, which needs its name; it was not changed
  fix: choose another namespace with --namespace, or inspect it: kubectl --context cluster1 -n kiali get configmap ambikiali-record -o yaml
"
        );
        clusters.cleaned().await;
        assert_eq!(get(home, RECORD.0, RECORD.1, RECORD.2).await, before);
        map.removed().await;

        // Old enough to be taken over if it were ours.
        let lease = Foreign::apply(home, LEASE).await;
        let before = lease.all().await;
        let said = refused(clusters).await;
        let cause = "cluster1: Lease kiali/ambikiali already exists and was not created by ambikiali, which needs its name; it was not changed\n  fix: choose another namespace with --namespace, or inspect it: kubectl --context cluster1 -n kiali get lease ambikiali -o yaml\n";
        assert!(said.ends_with(cause), "{said}");
        clusters.cleaned().await;
        assert_eq!(lease.all().await, before);
        lease.removed().await;
        namespace.removed().await;
    });
}
