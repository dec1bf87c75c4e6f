//! Kubeconfigs from practice, which must be read as kubectl reads them. Both contexts point to a server that answers
//! like an API server without istiod, so the finding about istiod shows that the server was reached.

use std::fs;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use super::as_kubectl::certificates::{Folder, few};
use crate::support::{Ended, Kind, Proxy, TlsServer, acceptor, command, output};

/// The finding for a context that works.
const THROUGH: &str = "error[AK1201]: context one: no Deployment with label app=istiod";

struct Person {
    root: TempDir,
    certificates: Folder,
    server: TlsServer,
}

impl Person {
    async fn new() -> Person {
        let root = tempfile::tempdir().expect("a folder");
        let certificates = few(root.path());
        let known = CertificateDer::from_pem_file(certificates.file("v1-rsa.crt"));
        let [certificate, key] = ["p256.crt", "p256.key"].map(|name| certificates.file(name));
        let acceptor = acceptor(&certificate, &key, vec![known.expect("a certificate")]);
        Person {
            server: TlsServer::start(Some(acceptor)).await,
            root,
            certificates,
        }
    }

    fn ca(&self) -> String {
        format!(
            "certificate-authority: {}",
            self.certificates.file("ca.crt").display()
        )
    }

    fn server(&self, host: &str) -> String {
        format!("server: 'https://{host}:{}'", self.server.port)
    }

    /// Runs `check` with a kubeconfig in which both contexts have these fields.
    async fn check(&self, cluster: &str, user: &str, environment: &[(&str, &str)]) -> Ended {
        let entry = |what: &str, name: &str, fields: &str| {
            format!("- {{name: {name}, {what}: {{{fields}}}}}\n")
        };
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n{}{}contexts:\n{}{}users:\n{}",
            entry("cluster", "one", cluster),
            entry("cluster", "two", cluster),
            entry("context", "one", "cluster: one, user: admin"),
            entry("context", "two", "cluster: two, user: admin"),
            entry("user", "admin", user),
        );
        self.check_text(&text, ["one", "two"], environment).await
    }

    async fn check_text(
        &self,
        text: &str,
        [one, two]: [&str; 2],
        environment: &[(&str, &str)],
    ) -> Ended {
        let folder = self.root.path().join("my files");
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("kubeconfig.yaml");
        fs::write(&file, text).expect("a file");
        let path = file.display().to_string();
        let contexts = [format!("--ctx1={one}"), format!("--ctx2={two}")];
        let arguments = ["check", "--kubeconfig", &path, &contexts[0], &contexts[1]];
        let mut command = command(&arguments, &file, self.root.path());
        for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        let mut ended = output(command.spawn().expect("the binary starts")).await;
        let root = self.root.path().display().to_string();
        for text in [&mut ended.stdout, &mut ended.stderr] {
            *text = text
                .replace(&root, "ROOT")
                .replace(&self.server.port.to_string(), "PORT");
        }
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        ended
    }
}

#[track_caller]
fn through(ended: &Ended) {
    assert!(ended.stderr.contains(THROUGH), "{ended:#?}");
}

#[track_caller]
fn says(ended: &Ended, lines: &str) {
    assert!(
        ended.stderr.contains(lines),
        "{lines}\nis not in {ended:#?}"
    );
}

#[tokio::test]
async fn case_01_the_kubeconfigs_own_proxy_is_used_for_localhost_too() {
    let person = Person::new().await;
    for (kind, scheme) in [(Kind::Socks, "socks5"), (Kind::Connect, "http")] {
        let proxy = Proxy::start(kind, None, None).await;
        let own = format!("proxy-url: '{scheme}://127.0.0.1:{}'", proxy.port);
        let cluster = format!("{}, {}, {own}", person.server("localhost"), person.ca());
        through(
            &person
                .check(&cluster, "token: good", &[("NO_PROXY", "*")])
                .await,
        );
        assert!(proxy.asked() > 0, "{scheme}");
    }
}

/// An error of a proxy is not blamed on the API server behind it.
#[tokio::test]
async fn a_proxy_that_refuses_or_fails_is_named() {
    let person = Person::new().await;
    let certificate = ["p256.crt", "p256.key"].map(|name| person.certificates.file(name));
    let other = tempfile::tempdir().expect("a folder");
    let known = few(other.path()).file("ca.crt");
    let tls = acceptor(&certificate[0], &certificate[1], Vec::new());
    let refuses = |answer: &'static str| Kind::Refuses(answer.as_bytes());
    let login = Some("user:s3cret");
    let rows = [
        (
            "http",
            Proxy::start(Kind::Connect, None, login).await,
            "the proxy requires a user and a password (407 Proxy Authentication Required)",
        ),
        (
            "http",
            Proxy::start(refuses("HTTP/1.1 403 Forbidden\r\n\r\n"), None, None).await,
            "the proxy refuses to connect to it",
        ),
        (
            "http",
            Proxy::start(refuses("220 mail.example ESMTP\r\n"), None, None).await,
            "the proxy refuses to connect to it",
        ),
        (
            "http",
            Proxy::start(refuses(""), None, None).await,
            "the proxy closed the connection",
        ),
        (
            "https",
            Proxy::start(Kind::Connect, Some(tls), None).await,
            "the connection to the proxy failed: its certificate is not signed by the CA in the kubeconfig, or has an RSA key shorter than 2048 bits",
        ),
        (
            "https",
            Proxy::start(refuses("HTTP/1.1 400 Bad Request\r\n\r\n"), None, None).await,
            "the connection to the proxy failed: it does not speak TLS",
        ),
        (
            "socks5",
            Proxy::start(Kind::Socks, None, login).await,
            "the proxy refuses the user and the password",
        ),
        (
            "socks5",
            Proxy::start(refuses("HTTP/1.1 400 Bad Request\r\n\r\n"), None, None).await,
            "the proxy cannot connect to it: failed parsing server response",
        ),
    ];
    for (scheme, proxy, cause) in rows {
        let address = format!("127.0.0.1:{}", proxy.port);
        let cluster = format!(
            "{}, certificate-authority: {}, proxy-url: '{scheme}://user:wr0ng@{address}'",
            person.server("localhost"),
            known.display(),
        );
        let ended = person.check(&cluster, "token: good", &[]).await.exited(8);
        let line = format!(
            "error[AK1001]: context one at https://localhost:PORT through proxy {scheme}://{address}: {cause}\n  \
             fix: check proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY in the environment: \
             kubectl --kubeconfig 'ROOT/my files/kubeconfig.yaml' --context one version\n"
        );
        says(&ended, &line);
        assert!(!ended.stderr.contains("wr0ng"), "{ended:#?}");
        assert!(proxy.asked() > 0, "{scheme}");
    }
    for (scheme, cause) in [("http", ": Connection refused"), ("socks5", "")] {
        let cluster = format!(
            "{}, proxy-url: '{scheme}://127.0.0.1:1'",
            person.server("localhost")
        );
        let ended = person.check(&cluster, "token: good", &[]).await.exited(8);
        let line = format!(
            "error[AK1001]: context one at https://localhost:PORT through proxy {scheme}://127.0.0.1:1: \
             the connection to the proxy failed{cause}\n"
        );
        says(&ended, &line);
    }
}

#[tokio::test]
async fn case_03_networks_and_ports_in_no_proxy_are_left_out_of_the_proxy() {
    let person = Person::new().await;
    let cluster = format!("{}, {}", person.server("0.0.0.0"), person.ca());
    let port = format!("0.0.0.0:{}", person.server.port);
    for (list, direct) in [
        ("0.0.0.0/8", true),
        ("10.0.0.0/8,0.0.0.0/8", true),
        (port.as_str(), true),
        ("*", true),
        ("0.0.0.0:443", false),
        ("10.0.0.0/8", false),
        ("", false),
    ] {
        let proxy = Proxy::start(Kind::Connect, None, None).await;
        let url = format!("http://127.0.0.1:{}", proxy.port);
        let environment = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", list)];
        through(&person.check(&cluster, "token: good", &environment).await);
        assert_eq!(proxy.asked() == 0, direct, "{list}");
    }
}

#[tokio::test]
async fn case_04_a_no_proxy_that_is_not_tidy_matches_what_it_can() {
    let person = Person::new().await;
    let cluster = format!("{}, {}", person.server("0.0.0.0"), person.ca());
    for list in [
        "localhost,127.0.0.1,",
        "localhost 127.0.0.1",
        ",,",
        "[",
        "://",
        "a/b",
    ] {
        let proxy = Proxy::start(Kind::Connect, None, None).await;
        // The address of the proxy has no scheme.
        let url = format!("127.0.0.1:{}", proxy.port);
        let environment = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", list)];
        through(&person.check(&cluster, "token: good", &environment).await);
        assert!(proxy.asked() > 0, "{list}");
    }
    let environment = [("HTTPS_PROXY", "ftp://s3cret@127.0.0.1:1")];
    let ended = person
        .check(&cluster, "token: good", &environment)
        .await
        .exited(3);
    says(
        &ended,
        "error[AK1012]: context one: environment variable HTTPS_PROXY is not a proxy address\n",
    );
    assert!(!ended.stderr.contains("s3cret"));
}

#[tokio::test]
async fn case_05_base64_may_be_in_lines() {
    use base64::Engine;
    let person = Person::new().await;
    let lines = |name: &str, length, end: &str| {
        let text = base64::engine::general_purpose::STANDARD.encode(person.certificates.read(name));
        let lines = text.as_bytes().chunks(length).map(String::from_utf8_lossy);
        lines.collect::<Vec<_>>().join(end)
    };
    for (length, end) in [(64, "\\n"), (76, "\\r\\n")] {
        let cluster = format!(
            "{}, certificate-authority-data: \"{}\"",
            person.server("127.0.0.1"),
            lines("ca.crt", length, end)
        );
        let user = format!(
            "client-certificate-data: \"{}\", client-key-data: \"{}\"",
            lines("v1-rsa.crt", length, end),
            lines("v1-rsa.key", length, end)
        );
        through(&person.check(&cluster, &user, &[]).await);
    }
    let cluster = format!(
        "{}, certificate-authority-data: 's3cret!'",
        person.server("127.0.0.1")
    );
    let ended = person.check(&cluster, "token: good", &[]).await.exited(3);
    says(
        &ended,
        "cluster \"one\": certificate-authority-data is not base64\n  fix: ",
    );
    assert!(!ended.stderr.contains("s3cret"));
}

#[tokio::test]
async fn case_07_a_client_certificate_of_version_1_works() {
    let person = Person::new().await;
    let path = |name: &str| person.certificates.file(name).display().to_string();
    let cluster = format!("{}, {}", person.server("127.0.0.1"), person.ca());
    let pair = |key: &str| {
        let certificate = path("v1-rsa.crt");
        format!(
            "client-certificate: '{certificate}', client-key: '{}'",
            path(key)
        )
    };
    through(&person.check(&cluster, &pair("v1-rsa.key"), &[]).await);
    let ended = person
        .check(&cluster, &pair("p256.key"), &[])
        .await
        .exited(3);
    says(
        &ended,
        "context one: user \"admin\": client-key does not match client-certificate\n  fix: kubectl ",
    );
}

#[tokio::test]
async fn case_08_entries_that_are_not_asked_for_do_not_matter() {
    let person = Person::new().await;
    let text = format!(
        "
clusters:
- {{name: one, cluster: {{{}, {}}}}}
- {{name: half}}
- {{cluster: {{certificate-authority: /nowhere}}}}
contexts:
- {{name: one, context: {{cluster: one, user: admin}}}}
- {{name: two, context: {{cluster: one, user: admin}}}}
- {{name: half, context: {{namespace: x, user: admin}}}}
- {{context: {{cluster: one, user: admin}}}}
users:
- {{name: admin, user: {{token: good}}}}
- {{name: half, user: null}}
- {{user: {{exec: {{interactiveMode: Sometimes}}}}}}
",
        person.server("127.0.0.1"),
        person.ca()
    );
    through(&person.check_text(&text, ["one", "two"], &[]).await);
    let ended = person.check_text(&text, ["half", "two"], &[]).await;
    says(
        &ended.exited(3),
        "error[AK1012]: context half: it names no cluster\n  fix: kubectl ",
    );
}

#[tokio::test]
async fn case_10_a_server_without_a_scheme_is_refused_in_one_line() {
    let person = Person::new().await;
    for server in [
        "127.0.0.1:6443",
        "localhost:6443",
        "me:s3cret@localhost",
        "s3cret",
    ] {
        let cluster = format!("server: '{server}', {}", person.ca());
        let ended = person.check(&cluster, "token: good", &[]).await.exited(3);
        says(
            &ended,
            "\
error[AK1012]: context one: cluster \"one\": its server has no scheme; use https://HOST:PORT
  fix: kubectl --kubeconfig 'ROOT/my files/kubeconfig.yaml' --context one config view --minify
",
        );
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
    }
}

#[tokio::test]
async fn case_11_a_token_file_is_trimmed_and_a_token_with_a_line_end_is_refused() {
    let person = Person::new().await;
    let cluster = format!("{}, {}", person.server("127.0.0.1"), person.ca());
    for content in ["good\n", " good\r\n", "good"] {
        let file = person.root.path().join("token.txt");
        fs::write(&file, content).expect("a file");
        // A path relative to the kubeconfig's folder.
        through(&person.check(&cluster, "tokenFile: ../token.txt", &[]).await);
    }
    for token in ["s3cret\\n", "s3\\ncret", "s3\\tcret\\0"] {
        let user = format!("token: \"{token}\"");
        let ended = person.check(&cluster, &user, &[]).await.exited(3);
        says(
            &ended,
            "error[AK1012]: context one: user \"admin\": the token ",
        );
        assert!(!ended.stderr.contains("cret"), "{ended:#?}");
    }
}

#[tokio::test]
async fn case_13_null_is_the_default() {
    let person = Person::new().await;
    let plugin = person.root.path().join("plugin");
    let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"good"}}"#;
    fs::write(&plugin, format!("echo '{credential}'\n")).expect("a file");
    let cluster = format!(
        "{}, {}, proxy-url: null",
        person.server("127.0.0.1"),
        person.ca()
    );
    for more in [
        "provideClusterInfo: null",
        "interactiveMode: ''",
        "interactiveMode: null, env: null",
    ] {
        let user = format!(
            "exec: {{apiVersion: client.authentication.k8s.io/v1beta1, command: sh, args: ['{}'], {more}}}",
            plugin.display()
        );
        through(&person.check(&cluster, &user, &[]).await);
    }
}

#[tokio::test]
async fn case_14_commands_that_are_shown_can_be_pasted() {
    let person = Person::new().await;
    let names = [
        "ctx1 (aws)",
        "default/api-ocp:6443/Max O'Example",
        "$(touch x)`y`",
        "-n",
    ];
    for name in names {
        let context = serde_json::json!({
            "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
            "contexts": [{"name": name, "context": {"cluster": "one"}}, {"name": "two", "context": {"cluster": "one"}}],
        });
        let ended = person
            .check_text(&context.to_string(), [name, "two"], &[])
            .await;
        let fix = ended
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("  fix: "));
        let fix = fix.unwrap_or_else(|| panic!("{name}: {ended:#?}"));
        let words = shlex::split(fix).expect("words");
        let file = "ROOT/my files/kubeconfig.yaml";
        assert_eq!(
            words,
            [
                "kubectl",
                "--kubeconfig",
                file,
                "--context",
                name,
                "version"
            ]
        );
    }
}

#[tokio::test]
async fn case_15_a_plugin_that_is_not_there_shows_its_hint_and_one_that_fails_says_where_to_look() {
    let person = Person::new().await;
    let cluster = format!("{}, {}", person.server("127.0.0.1"), person.ca());
    let exec = "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never";
    let user = format!(
        "exec: {{{exec}, command: kubelogin-none, installHint: \"install it with:\\n brew install \\e[31mkubelogin\"}}"
    );
    let ended = person.check(&cluster, &user, &[]).await.exited(8);
    says(
        &ended,
        "\
error[AK1013]: context one: credential plugin kubelogin-none could not be started: No such file or directory
  fix: install it with: brew install [31mkubelogin
",
    );
    let user =
        format!("exec: {{{exec}, command: sh, args: ['-c', 'echo log in: s3cret >&2; exit 255']}}");
    let ended = person.check(&cluster, &user, &[]).await.exited(8);
    says(
        &ended,
        "\
error[AK1013]: context one: credential plugin sh failed (exit status: 255); its output is hidden because it may contain a token; kubectl shows it
  fix: kubectl --kubeconfig 'ROOT/my files/kubeconfig.yaml' --context one version
",
    );
    assert!(!ended.stderr.contains("s3cret"));
}

#[tokio::test]
async fn case_16_the_servers_own_certificate_may_stand_for_its_ca() {
    let person = Person::new().await;
    let leaf = person.certificates.file("p256.crt").display().to_string();
    let cluster = |host: &str, more: &str| {
        format!(
            "{}, certificate-authority: '{leaf}'{more}",
            person.server(host)
        )
    };
    for host in ["127.0.0.1", "localhost"] {
        through(&person.check(&cluster(host, ""), "token: good", &[]).await);
    }
    // The server name is still verified.
    let named = cluster("127.0.0.1", ", tls-server-name: other.example");
    let ended = person.check(&named, "token: good", &[]).await.exited(8);
    says(
        &ended,
        "error[AK1011]: context one at https://127.0.0.1:PORT: its certificate is not valid for this address\n",
    );
}

#[tokio::test]
async fn case_30_a_kubeconfig_without_a_ca_is_told_so() {
    let person = Person::new().await;
    let ended = person
        .check(&person.server("127.0.0.1"), "token: good", &[])
        .await
        .exited(8);
    says(
        &ended,
        "\
error[AK1011]: context one at https://127.0.0.1:PORT: the kubeconfig has no CA, and this machine does not trust the server's certificate; set certificate-authority in the kubeconfig
  fix: ",
    );
}
