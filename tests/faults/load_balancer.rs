//! The address of a Gateway is late, never assigned, or a name.

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::audit::Request;
use serde_json::{Value, json};

use crate::support::{
    Clusters, INSTALL, from_an_install, get, on_two_clusters, output, patch, patch_status, remove,
    says, to_an_install, until,
};

const GATEWAY: (&str, &str, &str) = (
    "gateway.networking.k8s.io/v1",
    "Gateway",
    "istio-system/prometheus-gateway",
);
const SERVICE: (&str, &str, &str) = ("v1", "Service", "istio-system/prometheus-gateway-istio");

/// istiod's message before it has seen the Gateway's pod, which may stay until the address is assigned.
const NO_POD: &str = "Programmed=False AddressNotAssigned: Failed to assign to any requested addresses: no instances found for hostname \"prometheus-gateway-istio.istio-system.svc.cluster.local\"";
/// istiod's message after it has seen the pod.
const PENDING: &str = "Programmed=False AddressNotAssigned: Assigned to service(s) prometheus-gateway-istio.istio-system.svc.cluster.local:9090, but failed to assign to all requested addresses: address pending for hostname \"prometheus-gateway-istio.istio-system.svc.cluster.local\"";

async fn is(cluster: &Cluster, what: (&str, &str, &str)) -> Option<Value> {
    get(cluster, what.0, what.1, what.2).await
}

/// Returns prometheus.yml of the federating Prometheus, or None if it was never written.
async fn configuration(clusters: &Clusters) -> Option<String> {
    let map = is(
        clusters.home(),
        ("v1", "ConfigMap", "kiali/prometheus-config"),
    )
    .await?;
    map["data"]["prometheus.yml"].as_str().map(String::from)
}

#[test]
fn fault_36_a_load_balancer_that_never_comes_is_named_at_the_deadline_and_no_empty_target_is_written()
 {
    to_an_install(async |clusters| {
        clusters.sandbox.world().load_balancers.hold_back(true);
        // Long enough for everything else to become ready.
        let short = [&INSTALL[..6], &["--timeout", "40s"]].concat();
        let ended = clusters.run(&short).await.exited(4);
        // Both clusters wait, and the error names whichever reaches the deadline first.
        assert_eq!(
            ended.error().replace("cluster2", "cluster1").replace(NO_POD, PENDING),
            format!("expose prometheus: cluster1: Gateway istio-system/prometheus-gateway is not ready after 40 s: {PENDING}
  fix: Service istio-system/prometheus-gateway-istio of type LoadBalancer got no address: this cluster usually lacks a load balancer (MetalLB, cloud-provider-kind, the cloud's controller); see kubectl --context cluster1 -n istio-system describe service prometheus-gateway-istio
")
        );
        assert_eq!(configuration(clusters).await, None);
        let given = ("v1", "Secret", "kiali/kiali-multi-cluster-secret");
        assert_eq!(is(clusters.home(), given).await, None);

        clusters.sandbox.world().load_balancers.hold_back(false);
        clusters.installed().await;
        let written = configuration(clusters).await.expect("a configuration");
        for cluster in clusters.sandbox.clusters() {
            let gateway = is(cluster, GATEWAY).await.expect("the Gateway");
            let address = gateway["status"]["addresses"][0]["value"].as_str();
            let target = format!("- {}:9090\n", address.expect("an address"));
            assert!(written.contains(&target), "{written}");
        }
    });
}

#[test]
fn fault_37_an_address_that_changed_is_shown_by_status_and_taken_up_by_the_next_install() {
    from_an_install(async |clusters| {
        let remote = clusters.remote();
        let gateway = is(remote, GATEWAY).await.expect("the Gateway");
        let old = gateway["status"]["addresses"][0]["value"].clone();
        let (old, new) = (
            old.as_str().expect("an address"),
            remote.addresses().load_balancer(200).to_string(),
        );
        moved(remote, &new).await;
        let drift = format!(
            "scrapes cluster2 at {old}:9090, but its Gateway's address is {new}:9090: run install again"
        );
        let shown = clusters.run(&["status"]).await.exited(1).stdout;
        let not_ready = shown.lines().filter(|line| line.contains("not ready"));
        assert_eq!(
            not_ready.collect::<Vec<_>>(),
            [format!(
                "              aggregate metrics   not ready  Deployment kiali/prometheus: {drift}"
            )]
        );
        let broken = clusters
            .run(&["verify", "--probes", "none"])
            .await
            .exited(5);
        let line = format!(
            "broken    components     cluster1      Deployment kiali/prometheus: {drift}\n"
        );
        assert!(broken.stdout.contains(&line), "{}", broken.stdout);
        let line = format!(
            "broken    scrape target  cluster2      the Gateway is at https://{new}:9090/federate, but the federating Prometheus scrapes https://{old}:9090/federate: run install again\n"
        );
        assert!(broken.stdout.contains(&line), "{}", broken.stdout);

        let marks = clusters.marks();
        clusters.installed().await;
        let written = marks.map(|mark| {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let name = |r: &Request| format!("{} {}/{}", r.verb, r.resource, r.name);
            writes.iter().map(name).collect::<Vec<_>>()
        });
        let [home, remote] = written;
        // The record names what was applied.
        let follows = [
            "patch configmaps/prometheus-config",
            "patch deployments/prometheus",
            "patch configmaps/ambikiali-record",
        ];
        assert_eq!(home, follows);
        assert_eq!(remote, [""; 0]);
        clusters.run(&["status"]).await.succeeded();
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}

/// Changes the load balancer's address, and waits until istiod has updated the Gateway.
async fn moved(cluster: &Cluster, address: &str) {
    let status = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
    patch_status(cluster, SERVICE.0, SERVICE.1, SERVICE.2, &status).await;
    until("the Gateway shows it", async || {
        let gateway = is(cluster, GATEWAY).await.expect("the Gateway");
        gateway["status"]["addresses"][0]["value"] == address
    })
    .await;
}

#[test]
fn a_late_load_balancer_is_waited_for_with_its_reason() {
    to_an_install(async |clusters| {
        let world = clusters.sandbox.world();
        world.load_balancers.hold_back(true);
        let mut install = clusters.start(&INSTALL);
        let told = |said: &str, cluster: &str| {
            let waits = format!("{cluster}      expose prometheus   waiting ");
            let why = |line: &str| [NO_POD, PENDING].iter().any(|why| line.ends_with(why));
            said.lines().any(|line| line.contains(&waits) && why(line))
        };
        says(&mut install, |said| {
            told(said, "cluster1") && told(said, "cluster2")
        })
        .await;
        world.load_balancers.hold_back(false);
        output(install).await.succeeded();
    });
}

#[test]
fn a_load_balancer_with_a_name_is_scraped_by_that_name() {
    on_two_clusters(async |clusters| {
        let world = clusters.sandbox.world();
        world.load_balancers.hold_back(true);
        let short = [&INSTALL[..6], &["--timeout", "40s"]].concat();
        let install = clusters.start(&short);
        until("the Gateway has its Service", async || {
            is(clusters.remote(), SERVICE).await.is_some()
        })
        .await;
        let name =
            json!({"metadata": {"annotations": {"sandbox/hostname": "lb.example.internal"}}});
        patch(clusters.remote(), SERVICE.0, SERVICE.1, SERVICE.2, &name).await;
        world.load_balancers.hold_back(false);
        // The name does not resolve, so the install reports Prometheus' error.
        let ended = output(install).await.exited(4);
        let error = "its Prometheus is not scraped: https://lb.example.internal:9090/federate is down: dial tcp: lookup lb.example.internal";
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
        let line = "expose prometheus   done     https://lb.example.internal:9090/federate\n";
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
        let written = configuration(clusters).await.expect("a configuration");
        assert!(
            written.contains("- lb.example.internal:9090\n"),
            "{written}"
        );
        clusters.cleaned().await;
    });
}

/// istiod merges Services of the same name in all clusters. A Gateway without an address of its own shows that of
/// another cluster.
#[test]
fn an_address_of_another_cluster_is_not_taken_for_the_gateways_own() {
    from_an_install(async |clusters| {
        let [home, remote] = [clusters.home(), clusters.remote()];
        let gateway = is(home, GATEWAY).await.expect("the Gateway");
        let of_home = &gateway["status"]["addresses"][0]["value"];
        remove(remote, GATEWAY.0, GATEWAY.1, GATEWAY.2).await;
        until("its Service is gone too", async || {
            is(remote, SERVICE).await.is_none()
        })
        .await;
        let world = clusters.sandbox.world();
        world.load_balancers.hold_back(true);
        let install = clusters.start(&INSTALL);
        until("the remote's Gateway shows home's address", async || {
            let gateway = is(remote, GATEWAY).await;
            gateway.is_some_and(|g| g["status"]["addresses"][0]["value"] == *of_home)
        })
        .await;
        world.load_balancers.hold_back(false);
        output(install).await.succeeded();
        let written = configuration(clusters).await.expect("a configuration");
        for cluster in [home, remote] {
            let service = is(cluster, SERVICE).await.expect("the Service");
            let own = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str();
            let target = format!("- {}:9090\n", own.expect("an address"));
            assert_eq!(written.matches(&target).count(), 1, "{written}");
        }
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}
