//! The findings of `check`, and that an install with such a finding writes nothing.

mod broken;
mod changed;
mod sync;
mod texts;

use crate::support::{
    BOTH, Clusters, Kind, Proxy, ambikiali, entry, kubeconfig, masked, to_an_install, unwritten,
};

/// Pods cannot use the proxy of a kubeconfig. The binary uses it for every server, whatever its name.
async fn through_a_proxy(clusters: &Clusters, check: &[&str]) {
    let file = clusters.state().join("proxied");
    let proxy = Proxy::start(Kind::Connect, None, None).await;
    let url = format!("http://127.0.0.1:{}", proxy.port);
    let proxied = kubeconfig(clusters.sandbox.kubeconfig(), file, |config| {
        entry(config, "cluster", "cluster2")["proxy-url"] = url.into();
    });
    let ended = ambikiali(check, &proxied, clusters.state()).await;
    assert_eq!(
        masked(&ended.succeeded().stdout),
        "\
warning[AK1010]: cluster2: API server https://127.0.0.1:PORT: is reached through the kubeconfig's proxy \
from here, and without it from pods of cluster1
  fix: name the address that pods of home reach, be it the same: --api-server2 https://HOST:PORT
Ready to install: 1 warning
"
    );
    let strict = [check, &["--strict"]].concat();
    let ended = ambikiali(&strict, &proxied, clusters.state()).await;
    ended.exited(3);
    let named = [check, &["--api-server2", clusters.remote().server()]].concat();
    let ended = ambikiali(&named, &proxied, clusters.state()).await;
    assert_eq!(ended.succeeded().stdout, "Ready to install\n");
    assert!(proxy.asked() > 0);
}

#[test]
fn a_mesh_that_is_as_it_should_be_is_ready_to_install_and_nothing_is_written() {
    to_an_install(async |clusters| {
        let marks = clusters.marks();
        let check = [&["check"], &BOTH[..]].concat();
        let ended = clusters.run(&check).await.succeeded();
        assert_eq!(ended.stdout, "Ready to install\n");
        unwritten(&marks);
        through_a_proxy(clusters, &check).await;
        clusters.installed().await;
        let marks = clusters.marks();
        let swapped = [
            &["install", "--ctx1", "cluster2", "--ctx2", "cluster1"],
            &BOTH[4..],
        ];
        let ended = clusters.run(&swapped.concat()).await.exited(3);
        let said =
            "error[AK1007]: cluster2: ConfigMap kiali/ambikiali-record: says that cluster1 is home";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        unwritten(&marks);
        let ended = clusters.run(&check).await.succeeded();
        assert_eq!(ended.stdout, "Ready to install\n");
    });
}
