//! The remote's token is never sent over a connection without TLS.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use ambikiali_sandbox::Cluster;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio::net::TcpListener;

use crate::support::{
    BOTH, INSTALL, ambikiali, entry, kubeconfig, masked, on_two_clusters, unwritten,
};

/// Serves like `kubectl proxy`: an API server without TLS that uses its owner's credentials. Logs each request with its
/// token.
async fn plain(cluster: &Cluster) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let (client, asked) = (cluster.client(), heard.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (client, asked) = (client.clone(), asked.clone());
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let token = request.headers().get("authorization");
                let token = token.map(|token| format!("{token:?}")).unwrap_or_default();
                asked
                    .lock()
                    .expect("whole")
                    .push(format!("{} {token}", request.uri()));
                let client = client.clone();
                async move {
                    let (mut parts, body) = request.into_parts();
                    parts.headers.remove("authorization");
                    parts.headers.remove("host");
                    let body = body.collect().await.expect("a body").to_bytes();
                    let request = hyper::Request::from_parts(parts, Body::from(body));
                    let answer = client.send(request).await.expect("an answer");
                    Ok::<_, Infallible>(answer)
                }
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, heard)
}

#[test]
fn attack_05_the_token_of_a_remote_is_never_sent_in_clear_text() {
    on_two_clusters(async |clusters| {
        let (address, heard) = plain(clusters.remote()).await;
        let heard = || std::mem::take(&mut *heard.lock().expect("whole"));
        let marks = clusters.marks();
        let (http, bare) = (format!("http://{address}"), address.clone());
        for named in [&http, &bare] {
            for command in ["check", "plan", "install"] {
                let arguments = [&[command], &BOTH[..], &["--api-server2", named]].concat();
                let ended = clusters.run(&arguments).await.exited(2);
                assert!(
                    ended
                        .stderr
                        .contains("--api-server2: the address must be https://")
                );
            }
        }
        assert_eq!(heard(), Vec::<String>::new());
        // As in kubectl, the kubeconfig may use http, but Kiali does not get such an address.
        let file = clusters.state().join("plain");
        let file = kubeconfig(clusters.sandbox.kubeconfig(), file, |config| {
            *entry(config, "cluster", "cluster2") = serde_json::json!({"server": http});
        });
        let ended = ambikiali(&INSTALL, &file, clusters.state()).await.exited(3);
        let refused = "\
[AK1020] cluster2: API server of the kubeconfig: cannot be given to Kiali: the address must be \
https://HOST[:PORT][/PATH]: it must start with https://, because a token is sent to it
  fix: name the address that pods of home reach: --api-server2 https://HOST:PORT
";
        let error = masked(&ended.error());
        assert!(error.starts_with(refused), "{error}");
        unwritten(&marks);
        let skipped = [&INSTALL[..], &["--skip-check", "AK1020"]].concat();
        ambikiali(&skipped, &file, clusters.state()).await.exited(2);
        let asked = heard();
        assert!(!asked.is_empty(), "it was not asked at all");
        assert!(asked.iter().all(|line| line.ends_with(' ')), "{asked:#?}");
        // An address from the user works for Kiali.
        let named = [&INSTALL[..], &["--api-server2", clusters.remote().server()]].concat();
        ambikiali(&named, &file, clusters.state()).await.succeeded();
        let asked = heard();
        assert!(asked.iter().all(|line| line.ends_with(' ')), "{asked:#?}");
        ambikiali(&["cleanup"], &file, clusters.state())
            .await
            .succeeded();
    });
}
