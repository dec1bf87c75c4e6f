//! Who may reach the Gateways: source ranges, internal load balancers and annotations, as istiod gives them to the
//! Services that it creates.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{
    BOTH, Clusters, ambikiali, get, on_two_clusters, patch, patch_status, rewritten, until,
    unwritten,
};

const RANGES: [&str; 2] = ["--gateway-source-range", "127.0.0.0/8,203.0.113.7"];
const INTERNAL: [&str; 2] = ["--gateway-internal", "aws"];
const OWN: [&str; 2] = ["--gateway-annotation", "example.com/team=mesh"];
const BACK: [&str; 6] = [
    "--gateway-source-range",
    "default",
    "--gateway-internal",
    "default",
    "--gateway-annotation",
    "example.com/team=default",
];
const NAME: &str = "istio-system/prometheus-gateway-istio";
const PARAMETERS: &str = "istio-system/prometheus-gateway";
const GATEWAY: &str = "gateway.networking.k8s.io/v1";

async fn service(cluster: &Cluster) -> Value {
    get(cluster, "v1", "Service", NAME)
        .await
        .expect("a Service")
}

async fn is_narrowed(cluster: &Cluster) {
    let live = service(cluster).await;
    let ranges = json!(["127.0.0.0/8", "203.0.113.7/32"]);
    assert_eq!(live["spec"]["loadBalancerSourceRanges"], ranges, "{live:#}");
    let annotations = json!({
        "example.com/team": "mesh",
        "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    });
    assert_eq!(live["metadata"]["annotations"], annotations, "{live:#}");
}

async fn is_as_istiod_makes_it(cluster: &Cluster) {
    until("the Service lets in everybody again", async || {
        let live = service(cluster).await;
        live["spec"].get("loadBalancerSourceRanges").is_none()
            && live["metadata"].get("annotations").is_none()
    })
    .await;
    assert_eq!(get(cluster, "v1", "ConfigMap", PARAMETERS).await, None);
    let gateway = get(cluster, GATEWAY, "Gateway", PARAMETERS).await;
    assert!(
        gateway.expect("a Gateway")["spec"]
            .get("infrastructure")
            .is_none()
    );
}

#[test]
fn a_gateway_lets_in_only_whom_the_options_name_until_they_are_default_again() {
    on_two_clusters(async |clusters| {
        let flags = [RANGES, INTERNAL, OWN].concat();
        clusters.install(&flags).await.succeeded();
        for cluster in clusters.sandbox.clusters() {
            is_narrowed(cluster).await;
        }
        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.succeeded();
        unwritten(&marks);
        let said = "using the options of the last install: --gateway-annotation 'example.com/team=mesh' \
                    --gateway-internal aws --gateway-source-range 127.0.0.0/8,203.0.113.7/32\n";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        an_edit_is_told_and_undone(clusters).await;

        let planned = clusters
            .run(&[&["plan"], &BOTH[..], &BACK].concat())
            .await
            .succeeded();
        let lines = planned
            .stdout
            .lines()
            .filter(|line| line.contains("expose prometheus"));
        let change = "  change   expose prometheus   Gateway istio-system/prometheus-gateway";
        let delete = "  delete   expose prometheus   ConfigMap istio-system/prometheus-gateway";
        assert_eq!(lines.collect::<Vec<_>>(), [delete, change, delete, change]);
        clusters.install(&BACK).await.succeeded();
        for cluster in clusters.sandbox.clusters() {
            is_as_istiod_makes_it(cluster).await;
        }
        // A cleanup of a narrowed install leaves nothing either.
        clusters.install(&RANGES).await.succeeded();
        clusters.cleaned().await;
        // The options of what was cleaned up are nobody's any more.
        clusters.installed().await;
        is_as_istiod_makes_it(clusters.remote()).await;
        clusters.cleaned().await;
    });
}

async fn an_edit_is_told_and_undone(clusters: &Clusters) {
    let open = json!({"data": {"service": "spec: {loadBalancerSourceRanges: [0.0.0.0/0]}"}});
    patch(clusters.remote(), "v1", "ConfigMap", PARAMETERS, &open).await;
    until("istiod opens the Service", async || {
        service(clusters.remote()).await["spec"]["loadBalancerSourceRanges"] == json!(["0.0.0.0/0"])
    })
    .await;
    let shown = clusters.run(&["status"]).await.exited(1).stdout;
    let failed = "expose prometheus   failed     Gateway istio-system/prometheus-gateway: Service \
                  prometheus-gateway-istio: it lets in 0.0.0.0/0, not 127.0.0.0/8, 203.0.113.7/32\n";
    assert!(shown.contains(failed), "{shown}");
    clusters.install(&[]).await.succeeded();
    is_narrowed(clusters.remote()).await;
}

#[test]
fn a_record_opens_no_gateway_and_chooses_no_annotation() {
    on_two_clusters(async |clusters| {
        clusters.install(&RANGES).await.succeeded();
        let home = clusters.home();
        let marks = clusters.marks();
        let none = json!({"version": 1, "values": {}});
        rewritten(home, |content| content["options"] = none).await;
        let error = clusters.install(&[]).await.exited(3).error();
        assert_eq!(
            error,
            "[AK1412] cluster1: the last install on this machine had --gateway-source-range \
             127.0.0.0/8,203.0.113.7/32, and ConfigMap kiali/ambikiali-record does not have it; someone else may have removed it\n  \
             fix: to keep it, run the same command with --gateway-source-range 127.0.0.0/8,203.0.113.7/32; to go without \
             it, with --gateway-source-range default\n"
        );
        let other = json!({"version": 1, "values": {
            "gateway-source-range": "127.0.0.0/8,203.0.113.7/32",
            "gateway-annotation.example.com/script": "$(id)",
        }});
        rewritten(home, |content| content["options"] = other).await;
        let error = clusters.install(&[]).await.exited(3).error();
        let start = "[AK1412] cluster1: ConfigMap kiali/ambikiali-record sets --gateway-annotation \
                     'example.com/script=$(id)', which was not given on this machine";
        assert!(error.starts_with(start), "{error}");
        unwritten(&marks);
        let back = ["--gateway-annotation", "example.com/script=default"];
        clusters.install(&back).await.succeeded();
        clusters.cleaned().await;
    });
}

#[test]
fn a_public_gateway_that_nothing_narrows_is_a_warning() {
    on_two_clusters(async |clusters| {
        clusters.install(&["--exposure", "http"]).await.succeeded();
        let check = [&["check"], &BOTH[..]].concat();
        let checked = clusters.run(&check).await.succeeded();
        assert!(!checked.stdout.contains("AK1231"), "{checked:#?}");
        for (ingress, seen) in [
            (json!({"ip": "198.51.100.7"}), "198.51.100.7 is public"),
            (
                json!({"hostname": "lb.example.com"}),
                "lb.example.com may be public",
            ),
        ] {
            let status = json!({"loadBalancer": {"ingress": [ingress]}});
            patch_status(clusters.remote(), "v1", "Service", NAME, &status).await;
            let warning = format!(
                "warning[AK1231]: cluster2: Service {NAME}: its address {seen}, and nothing narrows who reads the \
                 metrics of the mesh there\n  fix: install again with --exposure mtls, with --gateway-source-range CIDR, or with \
                 --gateway-internal aws, gcp or azure\n"
            );
            let checked = clusters.run(&check).await.succeeded();
            assert!(checked.stdout.contains(&warning), "{checked:#?}");
            for narrow in [&RANGES, &["--exposure", "mtls"]] {
                let narrowed = [&check[..], narrow].concat();
                let checked = clusters.run(&narrowed).await.succeeded();
                assert!(!checked.stdout.contains("AK1231"), "{checked:#?}");
            }
        }
        clusters.cleaned().await;
    });
}

#[tokio::test]
async fn what_narrows_nothing_or_reaches_no_service_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (flag, value, why) in [
        (
            "--gateway-source-range",
            "0.0.0.0/0",
            "0.0.0.0/0 lets in every address",
        ),
        (
            "--gateway-source-range",
            "10.0.0.1/8",
            "its network is 10.0.0.0/8",
        ),
        (
            "--gateway-source-range",
            "home.example.com",
            "use CIDR notation, as in 192.0.2.0/24",
        ),
        (
            "--gateway-internal",
            "hetzner",
            "use one of aws, gcp, azure",
        ),
        ("--gateway-annotation", "a", "use KEY=VALUE"),
        (
            "--gateway-annotation",
            "a b=c",
            "\"a b\" is not the key of an annotation",
        ),
        (
            "--gateway-annotation",
            "networking.istio.io/service-type=ClusterIP",
            "\"networking.istio.io/service-type\" is no annotation that istiod takes over from a Gateway",
        ),
        (
            "--gateway-annotation",
            "a=b c",
            "a value must have ASCII characters without spaces",
        ),
    ] {
        let arguments = ["install", "--ctx1", "a", "--ctx2", "b", flag, value];
        let missing = folder.path().join("none");
        let ended = ambikiali(&arguments, &missing, folder.path())
            .await
            .exited(2);
        let start = format!("error: invalid value '{value}' for '{flag} <");
        assert!(ended.stderr.starts_with(&start), "{ended:#?}");
        assert!(ended.stderr.contains(&format!(">': {why}\n")), "{ended:#?}");
    }
}

/// What could not be read again from a record is never written into one.
#[tokio::test]
async fn options_that_are_too_much_together_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let many = (0..40)
        .map(|n| format!("10.{n}.0.0/16"))
        .collect::<Vec<_>>();
    let many = vec![format!("--gateway-source-range={}", many.join(","))];
    let both = vec!["--gateway-source-range=default,10.0.0.0/8".to_string()];
    let long = vec![format!("--gateway-annotation=a={}", "x".repeat(1025))];
    let nine = (0..9).map(|n| format!("--gateway-annotation=a{n}=b"));
    for (flags, why) in [
        (many, "40 source ranges are too many"),
        (
            both,
            "--gateway-source-range default does not go with other ranges",
        ),
        (
            long,
            "option \"gateway-annotation.a\" is not valid, or longer than 1024 characters",
        ),
        (
            nine.collect(),
            "a Gateway takes 8 annotations, and these are 9, those of --gateway-internal included",
        ),
    ] {
        let base = [
            "render",
            "--home=a",
            "--remote=b",
            "--target=a=x:1",
            "--target=b=y:1",
        ];
        let to = format!("--out={}", out.display());
        let mut arguments = base.to_vec();
        arguments.push(&to);
        arguments.extend(flags.iter().map(String::as_str));
        let missing = folder.path().join("none");
        let ended = ambikiali(&arguments, &missing, folder.path())
            .await
            .exited(2);
        assert_eq!(ended.stderr, format!("error: {why}\n"), "{ended:#?}");
        assert!(!out.exists());
    }
}
