//! A login through a real OpenID Connect provider, from the flags to the session of a browser, and API servers that
//! accept its tokens or do not.

use std::fs;
use std::path::{Path, PathBuf};

use ambikiali_sandbox::oidc::{CLIENT, Provider, SECRET};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, StatusCode, Url, redirect};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::support::{
    BOTH, Clusters, Ended, Foreign, INSTALL, ambikiali, command, get, on_two_clusters, output,
    remove, rewritten, unwritten,
};

/// The port of the dashboard is part of the redirect URI.
const PORT: u16 = 20991;
const KIALI: &str = "kiali.io/v1alpha1";

/// The clusters beside a provider.
struct Beside<'a> {
    clusters: &'a Clusters,
    provider: Provider,
    folder: tempfile::TempDir,
}

impl<'a> Beside<'a> {
    async fn start(clusters: &'a Clusters) -> Beside<'a> {
        let redirect = format!("http://localhost:{PORT}/kiali");
        let provider = Provider::start(&clusters.sandbox, &redirect).await;
        Beside {
            clusters,
            provider: provider.expect("a provider"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        let (kubeconfig, state) = (self.clusters.sandbox.kubeconfig(), self.clusters.state());
        let mut command = command(arguments, kubeconfig, state);
        // The machine trusts the provider's CA.
        command.env("SSL_CERT_FILE", self.provider.ca_file());
        command.spawn().expect("the binary starts")
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let ended = output(self.begin(arguments)).await;
        let encoded = STANDARD.encode(SECRET);
        for stream in [&ended.stdout, &ended.stderr] {
            assert!(!stream.contains(SECRET) && !stream.contains(&encoded));
        }
        ended
    }

    async fn install(&self, more: &[&str]) -> Ended {
        self.run(&[&INSTALL, more].concat()).await
    }

    async fn check(&self, more: &[&str]) -> Ended {
        self.run(&[&["check"], &BOTH[..], more].concat()).await
    }

    fn login(&self) -> Vec<&str> {
        let issuer = self.provider.issuer();
        vec![
            "--auth",
            "openid",
            "--oidc-issuer",
            issuer,
            "--oidc-client-id",
            CLIENT,
        ]
    }

    /// Kiali's pod trusts the provider's CA, as an administrator sets it up.
    async fn trusted_by_kiali(&self) -> Foreign<'a> {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kiali"},
        });
        let bundle = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "kiali-cabundle", "namespace": "kiali"},
            "data": {"additional-ca-bundle.pem": self.provider.ca()},
        });
        Foreign::made(self.clusters.home(), vec![namespace, bundle], "admin").await
    }
}

/// A browser at the dashboard.
struct Browser {
    client: Client,
    cookies: String,
    dashboard: Child,
}

impl Browser {
    async fn open(beside: &Beside<'_>) -> Browser {
        let port = PORT.to_string();
        let mut dashboard = beside.begin(&["dashboard", "--no-open", "--port", &port]);
        let mut stdout = BufReader::new(dashboard.stdout.take().expect("a pipe"));
        let mut url = String::new();
        stdout.read_line(&mut url).await.expect("a line");
        assert_eq!(url, format!("http://localhost:{PORT}/kiali\n"));
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none());
        Browser {
            client: client.build().expect("a client"),
            cookies: String::new(),
            dashboard,
        }
    }

    /// The status of the response, and where it leads. The last cookie is kept.
    async fn get(&mut self, url: &str) -> (StatusCode, Option<String>, String) {
        let asked = self.client.get(url).header(COOKIE, &self.cookies);
        let answer = asked.send().await.expect("an answer");
        let header = |name| {
            let value = answer.headers().get(name);
            value.map(|value| value.to_str().expect("text").to_string())
        };
        if let Some(cookie) = header(SET_COOKIE) {
            self.cookies = cookie.split(';').next().unwrap_or_default().into();
        }
        let to = header(LOCATION);
        (answer.status(), to, answer.text().await.expect("text"))
    }

    async fn page(&mut self, path: &str) -> (StatusCode, Option<String>, String) {
        let url = format!("http://localhost:{PORT}/kiali{path}");
        self.get(&url).await
    }

    /// Logs in, and returns where Kiali sends the browser then.
    async fn log_in(&mut self, provider: &Provider) -> String {
        let (status, to, said) = self.page("/api/auth/openid_redirect").await;
        assert_eq!(status, StatusCode::FOUND, "{said}");
        let to = Url::parse(&to.expect("a redirect")).expect("a URL");
        let back = provider.log_in(to).await.expect("a login");
        self.get(back.as_str()).await.1.expect("a redirect")
    }

    async fn close(mut self) {
        self.dashboard.kill().await.expect("it runs");
    }
}

async fn shows_the_mesh_after_a_login_only(beside: &Beside<'_>) {
    let mut browser = Browser::open(beside).await;
    let (status, ..) = browser.page("/api/namespaces").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.log_in(&beside.provider).await, "/kiali/");
    let (status, _, said) = browser.page("/api/namespaces").await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let namespaces: Value = serde_json::from_str(&said).expect("JSON");
    for cluster in ["cluster1", "cluster2"] {
        let all = namespaces.as_array().expect("a list").iter();
        assert!(all.clone().any(|one| one["cluster"] == cluster), "{said}");
    }
    browser.close().await;
}

async fn verify(beside: &Beside<'_>) -> String {
    let verified = beside.run(&["verify", "--probes", "none"]).await;
    let verified = verified.succeeded().stdout;
    let lines = verified.lines().filter(|line| line.contains(" kiali "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Only users see Kiali's graph.
async fn flows_are_followed_up_to_the_login(beside: &Beside<'_>) {
    let verified = beside.run(&["verify", "-o", "json"]).await.succeeded();
    let document: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    let flows = document["flows"].as_array().expect("flows");
    assert_eq!(flows.len(), 3, "{document:#}");
    let issuer = beside.provider.issuer();
    let skipped = format!("Kiali shows its graph only after a login at {issuer}");
    for flow in flows {
        assert_eq!(flow["verdict"], "ok", "{flow:#}");
        let hops = flow["hops"].as_array().expect("hops");
        assert_eq!(hops[3]["verdict"], "ok", "{flow:#}");
        assert_eq!(hops[4]["verdict"], "skipped", "{flow:#}");
        assert_eq!(hops[4]["message"], skipped.as_str(), "{flow:#}");
    }
}

#[test]
fn users_log_in_at_the_provider_until_kiali_is_anonymous_again() {
    on_two_clusters(async |clusters| {
        let beside = Beside::start(clusters).await;
        let issuer = beside.provider.issuer();
        let bundle = beside.trusted_by_kiali().await;
        let secret = beside.file("secret", &format!("{SECRET}\n"));
        let with_secret = ["--oidc-client-secret-file", &secret];
        another_issuer_is_refused(&beside).await;

        let flags = [&beside.login()[..], &with_secret].concat();
        let ended = beside.install(&flags).await.succeeded();
        let said = format!(
            "Kiali asks for a login: whoever logs in at {issuer} sees every cluster and can change nothing.\n\
             Register Kiali's URL as redirect URI of client web; that of ambikiali dashboard is http://localhost:20001/kiali.\n"
        );
        assert!(ended.stdout.contains(&said), "{ended:#?}");
        assert!(!ended.stdout.contains("no login"), "{ended:#?}");
        the_secret_is_in_home_alone(clusters).await;
        let verified = verify(&beside).await;
        let said = format!(
            "ok        kiali          cluster1      asks for a login, and reaches cluster1, cluster2\n\
             skipped   kiali          cluster1      namespaces and control planes not asked for: Kiali shows them only after a login at {issuer}\n"
        );
        assert_eq!(verified, said);
        flows_are_followed_up_to_the_login(&beside).await;
        shows_the_mesh_after_a_login_only(&beside).await;

        let marks = clusters.marks();
        let ended = beside.install(&[]).await.succeeded();
        unwritten(&marks);
        let said = format!(
            "using the options of the last install: --auth openid --oidc-client-id web --oidc-issuer {issuer}\n"
        );
        assert!(ended.stderr.contains(&said), "{ended:#?}");
        clusters.run(&["status"]).await.succeeded();
        what_contradicts_a_login_is_refused(&beside).await;
        a_record_alone_moves_no_login(&beside).await;
        a_lost_secret_is_missed_and_given_again(&beside, &with_secret).await;

        let ended = beside.install(&["--auth", "anonymous"]).await.succeeded();
        let said = "option changed since the last install: --auth openid -> anonymous\n";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        let said = "Kiali asks for no login: anyone who can reach it sees every cluster and can change nothing.\n";
        assert!(ended.stdout.contains(said), "{ended:#?}");
        assert_eq!(
            get(clusters.home(), "v1", "Secret", "kiali/kiali").await,
            None
        );
        let said = "ok        kiali          cluster1      sees cluster1, cluster2\n";
        assert_eq!(verify(&beside).await, said);
        // A cleanup of an install with a login leaves nothing either.
        beside.install(&flags).await.succeeded();
        clusters.cleaned().await;
        bundle.removed().await;
    });
}

async fn another_issuer_is_refused(beside: &Beside<'_>) {
    let issuer = format!("{}/", beside.provider.issuer());
    let login = ["--auth", "openid", "--oidc-issuer", &issuer];
    let flags = [&login[..], &["--oidc-client-id", CLIENT]].concat();
    let ended = beside.check(&flags).await.exited(3);
    let said = format!(
        "error[AK1434]: cluster1: Issuer {issuer}: it says that its issuer is {}, and Kiali compares both as text\n",
        beside.provider.issuer()
    );
    assert!(ended.stdout.contains(&said), "{ended:#?}");
    // No certificate of it is known without the CA.
    let ended = beside
        .clusters
        .run(&[&["check"], &BOTH[..], &beside.login()].concat())
        .await
        .succeeded();
    let said = format!(
        "warning[AK1435]: cluster1: Issuer {}: was not reached from this machine: ",
        beside.provider.issuer()
    );
    assert!(ended.stdout.contains(&said), "{ended:#?}");
    let said = "Secret kiali/kiali: is missing, so Kiali logs in to the provider without a client secret\n";
    assert!(ended.stdout.contains(said), "{ended:#?}");
}

async fn the_secret_is_in_home_alone(clusters: &Clusters) {
    let secret = get(clusters.home(), "v1", "Secret", "kiali/kiali").await;
    let secret = secret.expect("a Secret");
    let encoded = STANDARD.encode(SECRET);
    assert_eq!(secret["data"], json!({"oidc-secret": encoded}));
    let remote = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
    assert_eq!(remote.expect("the token")["data"].get("oidc-secret"), None);
    let record = get(clusters.home(), "v1", "ConfigMap", "kiali/ambikiali-record").await;
    let record = record.expect("a record")["data"]["record.json"].to_string();
    assert!(!record.contains(SECRET) && !record.contains(&encoded));
    let record: Value = serde_json::from_str(&record).expect("a text");
    let record: Value = serde_json::from_str(record.as_str().expect("text")).expect("JSON");
    let mut objects = record["objects"].as_array().expect("objects").iter();
    let entry = objects.find(|entry| entry["kind"] == "Secret" && entry["name"] == "kiali");
    // Not even a digest of it.
    assert_eq!(entry.expect("an entry").get("applied"), None);
    let state = fs::read_to_string(clusters.state().join("ambikiali/last.json")).expect("a file");
    assert!(!state.contains(SECRET) && state.contains("openid"));
}

async fn what_contradicts_a_login_is_refused(beside: &Beside<'_>) {
    let ended = beside.install(&["--allow-write"]).await.exited(2);
    let said = "--allow-write has no effect with --auth openid: ";
    assert!(ended.stderr.contains(said), "{ended:#?}");
    let ended = beside
        .install(&["--oidc-client-id", "default"])
        .await
        .exited(2);
    let said = "--auth openid needs --oidc-client-id";
    assert!(ended.stderr.contains(said), "{ended:#?}");
}

async fn a_record_alone_moves_no_login(beside: &Beside<'_>) {
    let home = beside.clusters.home();
    let record = get(home, "v1", "ConfigMap", "kiali/ambikiali-record").await;
    let values = |record: &mut Value, change: &dyn Fn(&mut Value)| {
        change(&mut record["options"]["values"]);
    };
    let issuer = beside.provider.issuer().to_string();
    let evil = |all: &mut Value| all["oidc-issuer"] = json!("https://evil.example.com");
    rewritten(home, |record| values(record, &evil)).await;
    let marks = beside.clusters.marks();
    let ended = beside.install(&[]).await.exited(3);
    let said = "sets --oidc-issuer https://evil.example.com, which was not given on this machine";
    assert!(ended.stderr.contains(said), "{ended:#?}");
    rewritten(home, |record| {
        drop(record.as_object_mut().expect("a map").remove("options"));
    })
    .await;
    let ended = beside.install(&[]).await.exited(3);
    let said =
        "[AK1412]: cluster1: the last install on this machine had --auth openid, and ConfigMap";
    assert!(ended.stderr.contains(said), "{ended:#?}");
    unwritten(&marks);
    let options = json!({"version": 1, "values": {
        "auth": "openid", "oidc-client-id": CLIENT, "oidc-issuer": issuer,
    }});
    rewritten(home, |record| record["options"] = options).await;
    drop(record);
}

async fn a_lost_secret_is_missed_and_given_again(beside: &Beside<'_>, with_secret: &[&str; 2]) {
    let home = beside.clusters.home();
    remove(home, "v1", "Secret", "kiali/kiali").await;
    let ended = beside.check(&[]).await.succeeded();
    let said = "warning[AK1442]: cluster1: Secret kiali/kiali: is missing, so Kiali logs in to the provider without a client secret\n  fix: give the secret of client web: --oidc-client-secret-file FILE\n";
    assert!(ended.stdout.contains(said), "{ended:#?}");
    let status = beside.run(&["status"]).await.exited(1).stdout;
    let said = "drifted    Secret kiali/kiali: gone\n";
    assert!(status.contains(said), "{status}");
    beside.install(with_secret).await.succeeded();
    shows_the_mesh_after_a_login_only(beside).await;
    let other = beside.file("other", "another-secret");
    let other = ["--oidc-client-secret-file", &other];
    let plan = beside.install(&[&other[..], &["--dry-run"]].concat()).await;
    let plan = plan.succeeded().stdout;
    let said = "  change   kiali               Secret kiali/kiali\n             .data.oidc-secret: (not shown)\n";
    assert!(plan.contains(said), "{plan}");
    assert!(!plan.contains("another-secret"), "{plan}");
}

#[test]
fn the_rights_of_users_are_used_only_where_each_api_server_accepts_the_issuer() {
    on_two_clusters(async |clusters| {
        let beside = Beside::start(clusters).await;
        clusters.installed().await;
        let login = beside.login();
        let rbac = [&login[..], &["--oidc-rbac", "--skip-check", "AK1442"]].concat();
        let marks = clusters.marks();
        let ended = beside.install(&rbac).await.exited(3);
        for cluster in clusters.sandbox.clusters() {
            let said = format!(
                "error[AK1441]: {}: API server {}: was not asked whether it accepts tokens of the issuer, which --oidc-rbac needs\n",
                cluster.name(),
                cluster.server()
            );
            assert!(ended.stderr.contains(&said), "{ended:#?}");
        }
        let token = beside.provider.id_token().await.expect("a token");
        let file = beside.file("token", &token);
        let with_token = [&rbac[..], &["--oidc-token-file", &file]].concat();
        let refused = |ended: &Ended, name: &str| {
            let start = format!("error[AK1441]: {name}: ");
            let line = ended.stderr.lines().find(|line| line.starts_with(&start));
            line.is_some_and(|line| line.contains("does not accept the token"))
        };
        let ended = beside.install(&with_token).await.exited(3);
        assert!(refused(&ended, "cluster1") && refused(&ended, "cluster2"));
        trust(clusters.home(), &beside.provider, &token).await;
        let ended = beside.install(&with_token).await.exited(3);
        assert!(!refused(&ended, "cluster1") && refused(&ended, "cluster2"));
        assert!(!ended.stdout.contains(&token) && !ended.stderr.contains(&token));
        unwritten(&marks);
        a_remote_that_was_left_out_must_show_it(&beside, &with_token).await;
        trust(clusters.remote(), &beside.provider, &token).await;
        let ended = beside.install(&with_token).await.succeeded();
        let said = format!(
            "Kiali asks for a login: whoever logs in at {} sees what the user's own rights in each cluster allow and can change nothing.\n",
            beside.provider.issuer()
        );
        assert!(ended.stdout.contains(&said), "{ended:#?}");
        let cr = get(clusters.home(), KIALI, "Kiali", "kiali/kiali").await;
        let openid = json!({
            "client_id": CLIENT, "disable_rbac": false, "issuer_uri": beside.provider.issuer(),
        });
        assert_eq!(cr.expect("a CR")["spec"]["auth"]["openid"], openid);
        // It was shown for these clusters.
        let marks = clusters.marks();
        beside
            .install(&["--skip-check", "AK1442"])
            .await
            .succeeded();
        unwritten(&marks);
        for cluster in clusters.sandbox.clusters() {
            cluster.trust(None).expect("a file");
        }
        clusters.cleaned().await;
    });
}

/// Home's options say that users have their own rights everywhere, but only home was seen to accept the issuer.
async fn a_remote_that_was_left_out_must_show_it(beside: &Beside<'_>, with_token: &[&str]) {
    let keep_going = [with_token, &["--keep-going"]].concat();
    let ended = beside.install(&keep_going).await.exited(6);
    let said = "left out: cluster2: cluster2: API server ";
    assert!(ended.stderr.contains(said), "{ended:#?}");
    let ended = beside.install(&["--skip-check", "AK1442"]).await.exited(3);
    let asked = |name: &str| ended.stderr.contains(&format!("error[AK1441]: {name}: "));
    assert!(!asked("cluster1") && asked("cluster2"), "{ended:#?}");
    let said = "was not asked whether it accepts tokens of the issuer";
    assert!(ended.stderr.contains(said), "{ended:#?}");
}

/// Waits until the API server has read its new configuration.
async fn trust(cluster: &ambikiali_sandbox::Cluster, provider: &Provider, token: &str) {
    cluster.trust(Some(&provider.trusted())).expect("a file");
    let client = cluster.client_with_token(token).expect("a client");
    crate::support::until("the API server accepts the issuer", async || {
        let review = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .header("content-type", "application/json")
            .body(
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
                    .to_string()
                    .into_bytes(),
            );
        let answer = client.request::<Value>(review.expect("a request")).await;
        answer.is_ok_and(|said| said["status"]["userInfo"]["username"] == "oidc:id1")
    })
    .await;
}

async fn refused(arguments: &[&str]) -> String {
    let none = Path::new("/dev/null");
    let all = [&INSTALL[..], arguments].concat();
    ambikiali(&all, none, none).await.exited(2).stderr
}

#[tokio::test]
async fn a_strategy_that_cannot_serve_several_clusters_is_refused_with_the_reason() {
    let said = refused(&["--auth", "token"]).await;
    let reason = "Kiali would send each user's token for home to the remotes, which do not know it; use openid";
    assert!(said.contains(reason), "{said}");
    for (flag, value, reason) in [
        (
            "--auth",
            "header",
            "only anonymous and openid work with several clusters here",
        ),
        (
            "--oidc-issuer",
            "http://login.example.com",
            "use https://HOST",
        ),
        (
            "--oidc-client-id",
            "a b",
            "use 1 to 256 characters without spaces",
        ),
    ] {
        let said = refused(&[flag, value]).await;
        assert!(said.contains(reason), "{said}");
    }
}
