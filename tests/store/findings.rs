//! What `check` finds about a store, before anything is written.

use crate::support::{BOTH, Clusters, Ended, ambikiali, on_an_install};

async fn checked(clusters: &Clusters, flags: &[&str]) -> Ended {
    clusters.run(&[&["check"], &BOTH[..], flags].concat()).await
}

#[test]
fn store_findings_of_a_check_have_their_codes_and_causes() {
    on_an_install(async |clusters| {
        let plain = "victoriametrics=http://vm.example.com:8428";
        let said = checked(clusters, &["--store", plain, "--store-secret", "none"]).await;
        let said = said.exited(3).stdout;
        for line in [
            "warning[AK1465]: cluster1: Store http://vm.example.com:8428: gets the credentials of --store-secret over plain HTTP",
            "error[AK1464]: cluster1: Secret kiali/none: is missing",
            "error[AK1464]: cluster1: Secret istio-system/none: is missing",
            "error[AK1464]: cluster2: Secret istio-system/none: is missing",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        let inside = "prometheus=http://prometheus.monitoring.svc:9090";
        let said = checked(clusters, &["--store", inside])
            .await
            .exited(3)
            .stdout;
        let line = "error[AK1466]: cluster2: Store http://prometheus.monitoring.svc:9090/api/v1/write: its host is a cluster-internal DNS name";
        assert!(said.contains(line), "{said}");
        assert!(!said.contains("cluster1: Store"), "{said}");

        let mimir = ["--store", "mimir=https://m.example.com,tenant=a"];
        let said = checked(clusters, &mimir).await.succeeded().stdout;
        assert!(!said.contains("AK146"), "{said}");
        let own = ["--prometheus2", "10.200.0.9:9090"];
        let said = checked(clusters, &[&mimir[..], &own].concat()).await;
        let line = "warning[AK1460]: cluster2: Prometheus at 10.200.0.9:9090: is not ours, so it writes to https://m.example.com/api/v1/push only if you configure it";
        assert!(said.stdout.contains(line), "{said:#?}");
        assert!(!said.stdout.contains("AK1460]: cluster1"), "{said:#?}");
    });
}

#[tokio::test]
async fn store_urls_and_others_are_refused_without_the_password_in_them() {
    let none = std::path::Path::new("/dev/null");
    let both = ["--ctx1", "a", "--ctx2", "b"];
    for (command, flag, value, reason) in [
        (
            "install",
            "--store",
            "prometheus=http://mesh:hunter2@a",
            "a URL of a store has no user",
        ),
        (
            "plan",
            "--store-url",
            "http://mesh:hunter2@a",
            "a URL of a store has no user",
        ),
        (
            "check",
            "--remote-write-url",
            "http://a?token=hunter2",
            "a URL of a store has no user",
        ),
        (
            "install",
            "--store-health-url",
            "https://mesh:hunter2@a",
            "a URL of a store has no user",
        ),
        (
            "install",
            "--oidc-issuer",
            "https://mesh:hunter2@a",
            "an issuer has no user",
        ),
        (
            "install",
            "--oidc-issuer",
            "http://mesh:hunter2@a",
            "use https://HOST",
        ),
        (
            "install",
            "--prometheus1",
            "mesh:hunter2@a:9090",
            "it has a user, a password",
        ),
        (
            "check",
            "--prometheus2",
            "https://mesh:hunter2@a:9090",
            "it has a user, a password",
        ),
        (
            "install",
            "--prometheus16",
            "https://a:9090/?token=hunter2",
            "it has a user, a password",
        ),
    ] {
        let all = [&[command], &both[..], &[flag, value]].concat();
        let said = ambikiali(&all, none, none).await.exited(2);
        let start = format!("error: invalid value for '{flag} <");
        assert!(said.stderr.starts_with(&start), "{said:#?}");
        assert!(said.stderr.contains(reason), "{said:#?}");
        for text in [&said.stdout, &said.stderr] {
            assert!(
                !text.contains("hunter2") && !text.contains("mesh"),
                "{said:#?}"
            );
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    let fleet = "apiVersion: ambikiali.dev/v1alpha1\nkind: Fleet\nhome: {context: a}\nremotes: [{context: b, prometheus: 'mesh:hunter2@a:9090'}]\n";
    std::fs::write(&file, fleet).expect("a file");
    let file = file.display().to_string();
    let said = ambikiali(&["install", "-f", &file], none, none)
        .await
        .exited(2);
    assert!(
        said.stderr.contains("it has a user, a password"),
        "{said:#?}"
    );
    assert!(!said.stderr.contains("hunter2"), "{said:#?}");
}
