//! Gives each kubeconfig of a table to kubectl and to the binary. Both must have the same class of result and the same
//! use of a proxy. Differences have a row in docs/kubeconfigs.md.

pub mod certificates;
mod table;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ambikiali_sandbox::tools::Tools;
use futures::{StreamExt, stream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::process::{Child, Command};

use self::certificates::{CLIENTS, Folder, SERVERS, STRANGE};
use self::table::Row;
use crate::support::{Kind, Proxy, TlsServer, acceptor};

const DOCUMENT: &str = include_str!("../../docs/kubeconfigs.md");
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers and proxies that the kubeconfigs refer to.
pub struct World {
    pub folder: Folder,
    servers: HashMap<String, TlsServer>,
    /// openssl servers, for certificates that rustls cannot serve.
    strange: HashMap<String, (u16, Child)>,
    pub plain: TlsServer,
    /// The proxies: http, https, socks5, http with a password, socks5 with a password.
    pub proxies: [Proxy; 5],
    scripts: AtomicUsize,
    root: tempfile::TempDir,
}

impl World {
    async fn made() -> World {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("certificates");
        fs::create_dir(&path).expect("a folder");
        let folder = certificates::make(&path);
        let known = CLIENTS.into_iter().filter(|(name, _)| *name != "c-unknown");
        let known = known.map(|(name, _)| {
            CertificateDer::from_pem_file(folder.file(&format!("{name}.crt"))).expect("a file")
        });
        let known = known.collect::<Vec<_>>();
        let tls = |name: &str| {
            let [certificate, key] =
                ["crt", "key"].map(|end| folder.file(&format!("{name}.{end}")));
            acceptor(&certificate, &key, known.clone())
        };
        let mut servers = HashMap::new();
        let names = SERVERS
            .into_iter()
            .map(|(name, _)| name)
            .chain(["self", "ofold"]);
        for name in names {
            servers.insert(name.to_string(), TlsServer::start(Some(tls(name))).await);
        }
        let mut strange = HashMap::new();
        for (name, _) in STRANGE {
            strange.insert(name.to_string(), openssl(&folder, name, &[]).await);
        }
        let asking = ["-Verify", "1", "-verify_return_error", "-CAfile", "ca.crt"];
        strange.insert("asking".into(), openssl(&folder, "rsa", &asking).await);
        const LOGIN: Option<&str> = Some("me:s3c@ret");
        let proxies = [
            Proxy::start(Kind::Connect, None, None).await,
            Proxy::start(Kind::Connect, Some(tls("rsa")), None).await,
            Proxy::start(Kind::Socks, None, None).await,
            Proxy::start(Kind::Connect, None, LOGIN).await,
            Proxy::start(Kind::Socks, None, LOGIN).await,
        ];
        World {
            servers,
            strange,
            plain: TlsServer::start(None).await,
            proxies,
            scripts: AtomicUsize::new(0),
            folder,
            root,
        }
    }

    pub fn port(&self, name: &str) -> u16 {
        match self.servers.get(name) {
            Some(server) => server.port,
            None => self.strange[name].0,
        }
    }

    /// Writes a plugin program and returns its path.
    pub fn script(&self, text: &str) -> String {
        let number = self.scripts.fetch_add(1, Ordering::Relaxed);
        let path = self.root.path().join(format!("plugin-{number}"));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
        path.display().to_string()
    }

    pub fn good_script(&self) -> String {
        let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"good"}}"#;
        format!("#!/bin/sh\necho '{credential}'\n")
    }
}

/// Starts a server that answers every request with a page.
async fn openssl(folder: &Folder, name: &str, more: &[&str]) -> (u16, Child) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("a port").port();
    drop(free);
    let child = Command::new("openssl")
        .args([
            "s_server",
            "-cipher",
            "ALL:@SECLEVEL=0",
            "-quiet",
            "-www",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .args([
            "-cert",
            &format!("{name}.crt"),
            "-key",
            &format!("{name}.key"),
        ])
        .args(more)
        .current_dir(&folder.path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let child = child.expect("openssl");
    let end = tokio::time::Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_err()
    {
        assert!(tokio::time::Instant::now() < end, "openssl does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (port, child)
}

/// The class of the result, and whether the proxy was used.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Works,
    Refused,
    Tls,
    Unreadable,
    Unreachable,
    /// An error that this test does not know.
    Unknown,
}

struct Outcome {
    class: Class,
    proxied: bool,
    said: String,
}

/// Runs both programs on one row, consecutively, because they share its proxy.
async fn outcomes(world: &World, row: &Row, kubectl: &Path) -> [Outcome; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let mut list = Vec::new();
    for (name, content) in &row.files {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        if name.starts_with("config") {
            list.push(path.display().to_string());
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a mode");
        }
    }
    let good = folder.path().join("other");
    let other = format!(
        "clusters: [{{name: other, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: {}}}}}]\n\
         contexts: [{{name: other, context: {{cluster: other, user: other}}}}]\nusers: [{{name: other, user: {{token: good}}}}]\n",
        world.port("p256"),
        world.folder.file("ca.crt").display()
    );
    fs::write(&good, other).expect("a file");
    let run = async |mut command: Command| {
        command
            .env("KUBECONFIG", list.join(":"))
            .env("HOME", folder.path());
        for (name, value) in &row.environment {
            command.env(
                name,
                value.replace("FOLDER", &folder.path().display().to_string()),
            );
        }
        command
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let before = row.proxy.map(|number| world.proxies[number].asked());
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.expect("it ends").expect("it starts");
        let after = row.proxy.map(|number| world.proxies[number].asked());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.success(), before != after, said)
    };
    let clean = |program: &Path| {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    };
    let mut command = clean(kubectl);
    command.args([
        "--context",
        "one",
        "get",
        "--raw",
        "/api/v1/namespaces/kube-system",
    ]);
    let (success, proxied, said) = run(command).await;
    let class = match success {
        true => Class::Works,
        false => of_kubectl(&said),
    };
    let first = Outcome {
        class,
        proxied,
        said,
    };
    let mut command = clean(Path::new(env!("CARGO_BIN_EXE_ambikiali")));
    command
        .args(["check", "--ctx1", "one", "--ctx2", "other", "--kubeconfig2"])
        .arg(&good);
    let (_, proxied, said) = run(command).await;
    assert!(!said.contains("s3c"), "{}: {said}", row.name);
    assert!(!said.contains("panicked"), "{}: {said}", row.name);
    let class = of_ambikiali(&said);
    [
        first,
        Outcome {
            class,
            proxied,
            said,
        },
    ]
}

/// Classifies the output by its text, because kubectl has no codes.
fn of_kubectl(said: &str) -> Class {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&[
        "x509:",
        "tls: failed to verify",
        "remote error: tls",
        "server gave HTTP response to HTTPS",
        "first record does not look like a TLS",
    ]) {
        return Class::Tls;
    }
    if has(&[
        "Unauthorized",
        "must be logged in",
        "getting credentials",
        "asked for the client to provide credentials",
        "Please enter Username",
    ]) {
        return Class::Refused;
    }
    let unreadable = [
        "error loading config file",
        "invalid configuration",
        "does not exist",
        "no such file or directory",
        "not allowed",
        "may be set, but not both",
        "unable to load root certificates",
        "unable to parse",
        "tls: failed to find",
        "tls: private key",
        "tls: failed to parse",
        "invalid header field value",
        "exec plugin",
        "unsupported protocol scheme",
        "invalid character",
        "Error in configuration",
        "invalid 'proxy-url'",
        "is allowed",
        "must be specified",
        "are both specified",
        "without impersonating",
        "invalid interactiveMode",
        "tls: found a certificate rather than a key",
        "is a directory",
        "no Auth Provider found",
        "couldn't get version/kind",
        "localhost:8080",
        "invalid proxy",
    ];
    if has(&unreadable) {
        return Class::Unreadable;
    }
    match has(&[
        "Unable to connect",
        "was refused",
        "proxyconnect",
        "EOF",
        "connection reset",
        "socks connect",
        "Proxy Authentication",
    ]) {
        true => Class::Unreachable,
        false => Class::Unknown,
    }
}

/// Classifies the output by the code of the finding about the right context.
fn of_ambikiali(said: &str) -> Class {
    let own = said
        .lines()
        .filter(|line| line.contains("error") && !line.contains("context other"));
    for line in own {
        for (code, class) in [
            // The server was reached, and it has no istiod.
            ("[AK1201]", Class::Works),
            ("[AK1002]", Class::Refused),
            ("[AK1013]", Class::Refused),
            ("[AK1011]", Class::Tls),
            ("[AK1012]", Class::Unreadable),
            ("[AK1001]", Class::Unreachable),
            ("error: no context", Class::Unreadable),
        ] {
            if line.contains(code) {
                return class;
            }
        }
    }
    Class::Unknown
}

#[test]
fn kubeconfigs_of_a_table_end_as_with_kubectl_or_are_documented_as_kubectl_does_not() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let kubectl = Tools::ensure(&target, |line| eprintln!("{line}"))
            .expect("kubectl")
            .kubectl;
        let world = World::made().await;
        let rows = table::rows(&world);
        // Rows that count a proxy's connections run alone, so that no others are counted.
        let (counted, free): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.proxy.is_some());
        let (world, kubectl) = (&world, &kubectl);
        let mut ended = stream::iter(free)
            .map(|row| async move { (row, outcomes(world, row, kubectl).await) })
            .buffer_unordered(8)
            .collect::<Vec<_>>()
            .await;
        for row in counted {
            ended.push((row, outcomes(world, row, kubectl).await));
        }
        judge(&ended);
    });
}

fn judge(ended: &[(&Row, [Outcome; 2])]) {
    let documented =
        |row: &Row| DOCUMENT.contains(&format!("| {} |", row.name.replace('|', "\\|")));
    let mut wrong = Vec::new();
    let mut equal = 0;
    for (row, [theirs, ours]) in ended {
        let same = theirs.class == ours.class && theirs.proxied == ours.proxied;
        equal += usize::from(same && theirs.class != Class::Unknown);
        let named = ours.said.contains("context one") || ours.said.contains("kubeconfig ");
        let sound = match same {
            true => theirs.class != Class::Unknown && !documented(row),
            false => documented(row) && named && ours.said.contains("fix: "),
        };
        if !sound {
            wrong.push(format!(
                "{}: kubectl {:?} (proxy: {}), ambikiali {:?} (proxy: {}), documented: {}\n  kubectl: {}\n  ambikiali: {}",
                row.name, theirs.class, theirs.proxied, ours.class, ours.proxied, documented(row),
                theirs.said.trim().replace('\n', "\n    "),
                ours.said.trim().replace('\n', "\n    "),
            ));
        }
    }
    println!("{} kubeconfigs, {equal} equal", ended.len());
    assert!(ended.len() >= 100);
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
