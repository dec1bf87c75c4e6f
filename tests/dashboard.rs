//! `dashboard` forwards a local port to Kiali until it is stopped.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::fault::{Action, Answer, Fault, Verb, When};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::answers::behind::Behind;
use crate::support::{Clusters, Foreign, on_an_install, on_two_clusters, remove, text, until};

/// All kinds of traffic that Kiali shows, as its page keeps them in its address.
const TRAFFIC: &str =
    "ambient%2CambientTotal%2Cgrpc%2CgrpcRequest%2Chttp%2ChttpRequest%2Ctcp%2CtcpSent";
const ANSWER: Duration = Duration::from_secs(20);

/// A running dashboard, and the URL that it printed.
struct Dashboard {
    process: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Dashboard {
    async fn start(clusters: &Clusters, port: u16) -> Dashboard {
        let port = port.to_string();
        Dashboard::of(clusters.start(&["dashboard", "--no-open", "--port", &port])).await
    }

    async fn of(mut process: Child) -> Dashboard {
        let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut url = String::new();
        let read = timeout(ANSWER, stdout.read_line(&mut url)).await;
        read.expect("a line").expect("text");
        Dashboard {
            process,
            stdout,
            url: url.trim_end().to_string(),
        }
    }

    /// Returns the first lines of a response on a new connection.
    async fn get(&self, path: &str) -> Option<String> {
        let mut connection = Connection::open(&self.url).await;
        connection.get(path).await
    }

    /// Sends Ctrl-C and returns the output besides the URLs.
    async fn interrupted(mut self) -> String {
        let pid = self.process.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await;
        assert!(sent.expect("kill").success());
        let ended = timeout(Duration::from_secs(2), self.process.wait()).await;
        assert_eq!(ended.expect("an end").expect("a status").code(), Some(130));
        let stderr = text(self.process.stderr.take()).await;
        let pages = format!(
            "Traffic graph: {url}/console/graph/namespaces?namespaces=sample&graphType=workload&duration=300&boxByCluster=true&boxByNamespace=true&traffic={TRAFFIC}\nMesh: {url}/console/mesh\n",
            url = self.url
        );
        assert!(stderr.contains(&pages), "{stderr}");
        let mut rest = stderr.replace(&pages, "");
        self.stdout.read_to_string(&mut rest).await.expect("text");
        rest
    }
}

/// A connection of a browser, which keeps it open for the next request.
struct Connection(TcpStream);

impl Connection {
    async fn open(url: &str) -> Connection {
        let address = url.strip_prefix("http://").expect("http");
        let address = address.strip_suffix("/kiali").expect("Kiali's folder");
        Connection(TcpStream::connect(address).await.expect("a connection"))
    }

    /// Returns the start of the response, or None if the connection is closed without one.
    async fn get(&mut self, path: &str) -> Option<String> {
        let host = self.0.peer_addr().expect("an address");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.ok()?;
        self.read().await
    }

    async fn read(&mut self) -> Option<String> {
        let mut answer = vec![0; 4096];
        let read = timeout(ANSWER, self.0.read(&mut answer)).await;
        let read = read.expect("an answer or an end").unwrap_or(0);
        answer.truncate(read);
        (read > 0).then(|| String::from_utf8(answer).expect("text"))
    }
}

/// Returns a port that was free just now.
async fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    listener
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
}

#[test]
fn a_dashboard_leads_to_kiali_and_outlives_a_restart_of_it() {
    on_an_install(async |clusters| {
        let port = free_port().await;
        let dashboard = Dashboard::start(clusters, port).await;
        assert_eq!(dashboard.url, format!("http://localhost:{port}/kiali"));
        let mut kept = Connection::open(&dashboard.url).await;
        let answer = kept.get("/kiali/api/status").await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("\"Kiali state\":\"running\""), "{answer}");

        restarted(clusters.home()).await;
        assert_eq!(
            kept.read().await,
            None,
            "a connection to a pod that is gone"
        );
        let answer = dashboard.get("/kiali/api/status").await;
        let answer = answer.expect("an answer of the new pod");
        assert!(answer.contains("\"Kiali state\":\"running\""), "{answer}");

        beside_another(clusters, port).await;
        assert_eq!(dashboard.interrupted().await, "");
    });
}

/// Starts a second dashboard, with a port in use and with an unreachable remote, which only Kiali needs.
async fn beside_another(clusters: &Clusters, taken: u16) {
    clusters.remote().pause_api_server().expect("paused");
    let second = Dashboard::start(clusters, taken).await;
    let health = second.get("/kiali/healthz").await;
    clusters.remote().resume_api_server().expect("resumed");
    assert_ne!(second.url, format!("http://localhost:{taken}/kiali"));
    let health = health.expect("an answer");
    assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");
    assert_eq!(
        second.interrupted().await,
        format!("port {taken} is in use; using a free one instead\n")
    );
}

/// Deletes Kiali's pods; new ones start by themselves.
async fn restarted(home: &Cluster) {
    let pods: Api<Pod> = Api::namespaced(home.client(), "kiali");
    let kiali = ListParams::default().labels("app.kubernetes.io/name=kiali");
    for pod in pods.list(&kiali).await.expect("pods") {
        let name = format!("kiali/{}", pod.name_any());
        remove(home, "v1", "Pod", &name).await;
    }
}

#[test]
fn without_a_kiali_there_is_no_dashboard() {
    on_two_clusters(async |clusters| {
        let contexts = ["--ctx1", "cluster1", "--ctx2", "cluster2"];
        let refused = clusters
            .run(&[&["dashboard"], &contexts[..]].concat())
            .await;
        let refused = refused.exited(1);
        assert_eq!(refused.stdout, "");
        assert_eq!(
            refused.stderr,
            "\
error: cluster1: no Kiali pod is ready
  fix: ambikiali status
"
        );
    });
}

/// The account whose token the plugin returns.
const ADMIN: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: looker, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: looker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: looker, namespace: default}]
";

#[test]
fn plugin_04_one_that_is_asked_again_under_a_dashboard_has_the_whole_time_each_time() {
    on_an_install(async |clusters| {
        let home = clusters.home();
        let looker = Foreign::apply(home, ADMIN).await;
        let token = home.token("default", "looker").await.expect("a token");
        let credential = serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": token},
        });
        let behind = Behind::proxies(clusters).await;
        let state = clusters.state().display();
        let script = format!(
            "if [ -e '{state}/asked' ]; then sleep 5; touch '{state}/again'; fi; touch '{state}/asked'; echo '{credential}'"
        );
        let exec = serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "sh", "args": ["-c", script],
        });
        behind.user("cluster1", serde_json::json!({"exec": exec}));
        let whole = Duration::from_secs(15);
        let arguments = ["dashboard", "--no-open", "--port=0", "--timeout=15s"];
        let dashboard = Dashboard::of(behind.begin(&arguments)).await;
        let asked = clusters.state().join("asked");
        assert!(fs::exists(&asked).expect("a folder"));
        // Waits until the time limit that applies to a command as a whole is over.
        tokio::time::sleep(whole).await;
        behind.home.add(Fault {
            verbs: Verb::READS,
            path: "/pods",
            when: When::First(1),
            action: Action::Answer(Answer::status(401, "Unauthorized", "Unauthorized", None)),
        });
        let again = clusters.state().join("again");
        until("the plugin gives its answer", async || {
            fs::exists(&again).expect("a folder")
        })
        .await;
        let health = dashboard.get("/kiali/healthz").await.expect("an answer");
        assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");
        let said = dashboard.interrupted().await;
        assert_eq!(said, "waiting for credential plugin sh\n");
        drop(behind);
        looker.removed().await;
    });
}
