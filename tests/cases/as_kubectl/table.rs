//! The table of kubeconfigs: each row has a name, files and an environment.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::World;
use super::certificates::{CLIENTS, SERVERS, STRANGE, STRANGE_CLIENTS};

#[derive(Clone)]
pub struct Row {
    pub name: String,
    /// The names and contents. KUBECONFIG lists all files whose name starts with `config`.
    pub files: Vec<(String, Vec<u8>)>,
    pub environment: Vec<(&'static str, String)>,
    /// The proxy that the row configures.
    pub proxy: Option<usize>,
}

fn row(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Row {
    Row {
        name: name.into(),
        files: vec![("config".into(), text.into())],
        environment: Vec::new(),
        proxy: None,
    }
}

/// Returns a kubeconfig with these fields of a cluster and a user.
fn config(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: one\n  cluster: {{{cluster}}}\n\
         contexts:\n- name: one\n  context: {{cluster: one, user: admin}}\nusers:\n- name: admin\n  user: {{{user}}}\n"
    )
}

const GOOD: &str = "token: good";

pub fn rows(world: &World) -> Vec<Row> {
    [
        servers(world),
        authorities(world),
        identities(world),
        tokens(world),
        plugins(world),
        proxies(world),
        texts(world),
        several(world),
    ]
    .concat()
}

fn ca(world: &World) -> String {
    format!(
        "certificate-authority: {}",
        world.folder.file("ca.crt").display()
    )
}

fn data(world: &World, name: &str) -> String {
    STANDARD.encode(world.folder.read(name))
}

fn servers(world: &World) -> Vec<Row> {
    let (port, plain, ca) = (world.port("rsa"), world.plain.port, ca(world));
    let with = |name: &str, server: String| {
        row(
            format!("server: {name}"),
            config(&format!("server: \"{server}\", {ca}"), GOOD),
        )
    };
    let mut rows = vec![
        with("an IP address", format!("https://127.0.0.1:{port}")),
        with("a name", format!("https://localhost:{port}")),
        with("IPv6", format!("https://[::1]:{port}")),
        with("a trailing slash", format!("https://127.0.0.1:{port}/")),
        with(
            "a path",
            format!("https://127.0.0.1:{port}/k8s/clusters/c-1"),
        ),
        with(
            "a path with a slash",
            format!("https://127.0.0.1:{port}/k8s/"),
        ),
        with("a query", format!("https://127.0.0.1:{port}/a?b=c#d")),
        with("HTTPS in capitals", format!("HTTPS://127.0.0.1:{port}")),
        with("no scheme, TLS there", format!("127.0.0.1:{port}")),
        with(
            "a name without scheme, TLS there",
            format!("localhost:{port}"),
        ),
        with("no scheme, no TLS there", format!("127.0.0.1:{plain}")),
        with("http", format!("http://127.0.0.1:{plain}")),
        with("another scheme", format!("ftp://127.0.0.1:{port}")),
        with("a blank before it", format!(" https://127.0.0.1:{port}")),
        with(
            "user and password",
            format!("https://user:pass@127.0.0.1:{port}"),
        ),
        with(
            "a wrong password",
            format!("https://user:s3cret@127.0.0.1:{port}"),
        ),
        with(
            "IPv4 within IPv6",
            format!("https://[::ffff:127.0.0.1]:{port}"),
        ),
        with("nobody there", "https://127.0.0.1:1".into()),
        with(
            "TLS to who speaks none",
            format!("https://127.0.0.1:{plain}"),
        ),
    ];
    rows.push(row("server: none", config(&ca, GOOD)));
    for (name, _) in SERVERS.into_iter().chain(STRANGE) {
        let server = format!("server: 'https://127.0.0.1:{}', {ca}", world.port(name));
        rows.push(row(
            format!("server's certificate: {name}"),
            config(&server, GOOD),
        ));
    }
    let server = format!("server: 'https://127.0.0.1:{}'", world.port("elsewhere"));
    for name in ["elsewhere.example", "other.example"] {
        let named = format!("{server}, {ca}, tls-server-name: {name}");
        rows.push(row(
            format!("tls-server-name: {name}"),
            config(&named, GOOD),
        ));
    }
    let unchecked = format!("{server}, insecure-skip-tls-verify: true");
    for name in ["'a b'", "foo_bar", "elsewhere.example"] {
        rows.push(row(
            format!("tls-server-name, not checked: {name}"),
            config(&format!("{unchecked}, tls-server-name: {name}"), GOOD),
        ));
    }
    rows
}

fn authorities(world: &World) -> Vec<Row> {
    let at = |name: &str| format!("server: 'https://127.0.0.1:{}'", world.port(name));
    let path = |name: &str| world.folder.file(name).display().to_string();
    let with = |name: &str, server: &str, more: String| {
        row(
            format!("CA: {name}"),
            config(&format!("{}, {more}", at(server)), GOOD),
        )
    };
    let mut pem = b"Zertifikat von M\xfcller\n".to_vec();
    pem.extend(world.folder.read("ca.crt"));
    pem.extend(b"\n# Ende \xf6\n");
    let several = [world.folder.read("other.crt"), world.folder.read("ca.crt")].concat();
    let broken = [
        &b"-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n"[..],
        &world.folder.read("ca.crt"),
    ]
    .concat();
    let encoded = |bytes: &[u8]| format!("certificate-authority-data: {}", STANDARD.encode(bytes));
    let lines = data(world, "ca.crt");
    let lines = lines.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>();
    let named = |name: &str| format!("certificate-authority: {}", path(name));
    let insecure = "insecure-skip-tls-verify: true";
    vec![
        with("data", "rsa", encoded(&world.folder.read("ca.crt"))),
        with(
            "data in lines",
            "rsa",
            format!("certificate-authority-data: \"{}\\n\"", lines.join("\\n")),
        ),
        with(
            "data in lines with CRLF",
            "rsa",
            format!("certificate-authority-data: \"{}\"", lines.join("\\r\\n")),
        ),
        with(
            "data with blanks",
            "rsa",
            format!("certificate-authority-data: \"{}\"", lines.join(" ")),
        ),
        with(
            "data that is no base64",
            "rsa",
            "certificate-authority-data: '***'".into(),
        ),
        with("data without PEM", "rsa", encoded(b"nothing")),
        with(
            "data that is empty",
            "rsa",
            "certificate-authority-data: ''".into(),
        ),
        with("other letters around it", "rsa", encoded(&pem)),
        with(
            "a byte order mark before it",
            "rsa",
            encoded(&[&b"\xEF\xBB\xBF"[..], &world.folder.read("ca.crt")].concat()),
        ),
        with("several", "rsa", encoded(&several)),
        with("a broken block before it", "rsa", encoded(&broken)),
        with("another one", "rsa", named("other.crt")),
        with("none", "rsa", "certificate-authority: null".into()),
        with("a file that is not there", "rsa", named("nowhere.crt")),
        with(
            "a folder",
            "rsa",
            format!("certificate-authority: {}", world.folder.path.display()),
        ),
        with(
            "data and a file",
            "rsa",
            format!("{}, {}", named("ca.crt"), encoded(&several)),
        ),
        with("a key, no certificate", "rsa", named("rsa.key")),
        with("the server's own", "rsa", named("rsa.crt")),
        with("the server's own, of P-384", "p384", named("p384.crt")),
        with("the server's own, expired", "expired", named("expired.crt")),
        with("the server's own, early", "early", named("early.crt")),
        with(
            "the server's own, for another name",
            "elsewhere",
            named("elsewhere.crt"),
        ),
        with(
            "the server's own, for clients",
            "forclients",
            named("forclients.crt"),
        ),
        with("the server's own, a CA", "isca", named("isca.crt")),
        with("self-signed", "self", named("self.crt")),
        with("self-signed, and another CA named", "self", named("ca.crt")),
        with("a chain, its root", "below", named("root.crt")),
        with("a chain, its middle", "below", named("middle.crt")),
        with("a chain, another root", "below", named("ca.crt")),
        with("expired", "ofold", named("old.crt")),
        with("not checked", "elsewhere", insecure.into()),
        with("not checked, expired", "expired", insecure.into()),
        with("not checked, P-521", "p521", insecure.into()),
        with(
            "not checked, and a CA",
            "rsa",
            format!("{insecure}, {}", named("ca.crt")),
        ),
    ]
}

fn identities(world: &World) -> Vec<Row> {
    let at = |port: u16| format!("server: 'https://127.0.0.1:{port}', {}", ca(world));
    let path = |name: &str| world.folder.file(name).display().to_string();
    let pair = |certificate: &str, key: &str| {
        format!(
            "client-certificate: {}, client-key: {}",
            path(certificate),
            path(key)
        )
    };
    let with = |name: &str, user: String| {
        row(
            format!("client certificate: {name}"),
            config(&at(world.port("rsa")), &user),
        )
    };
    let login = at(world.port("rsa")).replace("127.0.0.1", "user:pass@127.0.0.1");
    let mut rows = vec![row(
        "client certificate: and a login in the server's address",
        config(&login, &pair("c-rsa.crt", "c-rsa.key")),
    )];
    for (name, _) in CLIENTS {
        rows.push(with(
            name,
            pair(&format!("{name}.crt"), &format!("{name}.key")),
        ));
        let encoded = format!(
            "client-certificate-data: {}, client-key-data: {}",
            data(world, &format!("{name}.crt")),
            data(world, &format!("{name}.key"))
        );
        rows.push(with(&format!("{name}, as data"), encoded));
    }
    for name in ["c-rsa", "c-p256", "c-p384"] {
        let user = pair(&format!("{name}.crt"), &format!("{name}.old.key"));
        rows.push(with(&format!("{name}, key in PKCS 1 or SEC 1"), user));
    }
    for (name, _) in STRANGE_CLIENTS {
        let user = pair(&format!("{name}.crt"), &format!("{name}.key"));
        // Only openssl can verify these.
        let text = config(&at(world.port("asking")), &user);
        rows.push(row(format!("client certificate: {name}"), text));
    }
    let lines = |name: &str| {
        let text = data(world, name);
        let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy);
        lines.collect::<Vec<_>>().join("\\n")
    };
    rows.extend([
        with("data in lines", format!(
            "client-certificate-data: \"{}\", client-key-data: \"{}\"",
            lines("c-p256.crt"),
            lines("c-p256.key")
        )),
        with("another's key", pair("c-p256.crt", "c-p384.key")),
        with("another's key, version 1", pair("v1-p256.crt", "c-p256.key")),
        with("a locked key", pair("c-p256.crt", "c-p256.locked.key")),
        with("no key", format!("client-certificate: {}", path("c-rsa.crt"))),
        with("only a key, and a token", format!("client-key: {}, {GOOD}", path("c-rsa.key"))),
        with("a key that is not there", pair("c-rsa.crt", "nowhere.key")),
        with("a certificate that is not there", pair("nowhere.crt", "c-rsa.key")),
        with("a key that is a certificate", pair("c-rsa.crt", "c-rsa.crt")),
        with("and a token that is wrong", format!("{}, token: bad", pair("c-rsa.crt", "c-rsa.key"))),
        with("and a plugin", format!(
            "{}, exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/false}}",
            pair("c-rsa.crt", "c-rsa.key")
        )),
    ]);
    rows
}

fn tokens(world: &World) -> Vec<Row> {
    let at = format!(
        "server: 'https://127.0.0.1:{}', {}",
        world.port("rsa"),
        ca(world)
    );
    let with = |name: &str, user: &str| row(format!("token: {name}"), config(&at, user));
    let from = |name: &str, content: &str| {
        let mut row = with(name, "tokenFile: the-token");
        row.files
            .push(("the-token".into(), content.as_bytes().to_vec()));
        row
    };
    let beside = |name: &str, token: &str, content: &str| Row {
        files: from(name, content)
            .files
            .into_iter()
            .map(|(file, bytes)| match file.as_str() {
                "config" => {
                    let user = format!("token: {token}, tokenFile: the-token");
                    (file, config(&at, &user).into_bytes())
                }
                _ => (file, bytes),
            })
            .collect(),
        ..row(format!("token: {name}"), "")
    };
    vec![
        beside("wrong, and one of a file", "bad", "good\n"),
        beside("good, and a wrong one of a file", "good", "bad"),
        beside("good, and an empty file", "good", ""),
        with("good", GOOD),
        with("wrong", "token: bad"),
        with("a number", "token: 53617"),
        with("with a line end", "token: \"good\\n\""),
        with("with a line end within", "token: \"go\\nod\""),
        with("with a tab", "token: \"go\\tod\""),
        with("with other letters", "token: \"gööd\""),
        with("null", "token: null"),
        with(
            "null, and a name with a password",
            "token: null, username: user, password: pass",
        ),
        with(
            "and a password",
            "token: good, username: user, password: pass",
        ),
        with("none, a wrong password", "username: user, password: s3cret"),
        with("none, a name without password", "username: user"),
        from("of a file", "good"),
        from("of a file with a line end", "good\n"),
        from("of a file with CRLF", " good\r\n"),
        from("of an empty file", ""),
        from("of a file with two lines", "good\ngood\n"),
        with("of a file that is not there", "tokenFile: nowhere"),
        with(
            "good, and a file that is not there",
            "token: good, tokenFile: nowhere",
        ),
        with("for groups without a user", "token: good, as-groups: [a]"),
        with(
            "for another user",
            "token: good, as: somebody, as-groups: null",
        ),
    ]
}

/// Splits a path into its folder and name.
fn path_of(path: &str) -> (String, String) {
    let (folder, name) = path.rsplit_once('/').expect("a path");
    (folder.into(), name.into())
}

fn plugins(world: &World) -> Vec<Row> {
    let at = format!(
        "server: 'https://127.0.0.1:{}', {}",
        world.port("rsa"),
        ca(world)
    );
    let v1 = "apiVersion: client.authentication.k8s.io/v1";
    let with = |name: &str, exec: String| {
        row(
            format!("plugin: {name}"),
            config(&at, &format!("exec: {{{exec}}}")),
        )
    };
    let printed = |version: &str, status: &str| {
        let credential = format!(
            r#"{{"apiVersion":"client.authentication.k8s.io/{version}","kind":"ExecCredential","status":{status}}}"#
        );
        let path = world.script(&format!("cat <<'END'\n{credential}\nEND"));
        format!("command: {path}")
    };
    let good = printed("v1", r#"{"token":"good"}"#);
    let never = format!("{v1}, interactiveMode: Never");
    let mut relative = with("a relative path", format!("{never}, command: ./plugin"));
    relative
        .files
        .push(("plugin".into(), world.good_script().into_bytes()));
    let beta = printed("v1beta1", r#"{"token":"good"}"#);
    let failing = world.script("echo s3cret >&2; exit 3");
    let says = |text: &str| {
        let path = world.script(&format!("cat <<'END'\n{text}\nEND"));
        format!("{never}, command: {path}")
    };
    let credential = |status: &str| {
        format!(
            r#"{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{status}}}"#
        )
    };
    let whole = credential(r#"{"token":"good"}"#);
    let folder = path_of(&world.script(&world.good_script()));
    let mut below = with(
        "in a folder of PATH that is relative",
        format!("{never}, command: {}", folder.1),
    );
    below.environment.push((
        "PATH",
        format!(
            "../../../../../../../..{}:{}",
            folder.0,
            std::env::var("PATH").unwrap_or_default()
        ),
    ));
    vec![
        below,
        with(
            "only in the PATH that it is given",
            format!(
                "{never}, command: {}, env: [{{name: PATH, value: '{}:/usr/bin:/bin'}}]",
                folder.1, folder.0
            ),
        ),
        with(
            "a key twice",
            says(&whole.replace(r#""kind""#, r#""kind":"X","kind""#)),
        ),
        with(
            "a line end inside of the token",
            says(&whole.replace("good", "good\n")),
        ),
        with("something after it", says(&format!("{whole} bye"))),
        with("something before it", says(&format!("hello\n{whole}"))),
        with(
            "an end that is no time",
            says(&credential(
                r#"{"token":"good","expirationTimestamp":"soon"}"#,
            )),
        ),
        with(
            "an end in the past",
            says(&credential(
                r#"{"token":"good","expirationTimestamp":"2020-01-01T00:00:00Z"}"#,
            )),
        ),
        with(
            "that prints YAML",
            says(
                "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus:\n  token: good",
            ),
        ),
        with("good", format!("{never}, {good}")),
        with(
            "nulls",
            format!(
                "apiVersion: client.authentication.k8s.io/v1beta1, args: null, env: null, provideClusterInfo: null, interactiveMode: null, installHint: null, {beta}"
            ),
        ),
        with(
            "an empty mode, v1beta1",
            format!(
                "apiVersion: client.authentication.k8s.io/v1beta1, interactiveMode: '', {beta}"
            ),
        ),
        with(
            "an empty mode, v1",
            format!("{v1}, interactiveMode: '', {good}"),
        ),
        with(
            "an unknown mode",
            format!("{v1}, interactiveMode: Sometimes, {good}"),
        ),
        with(
            "Always, and no terminal",
            format!("{v1}, interactiveMode: Always, {good}"),
        ),
        with(
            "v1alpha1",
            format!("apiVersion: client.authentication.k8s.io/v1alpha1, {good}"),
        ),
        with("no version", good.clone()),
        with("no command", never.clone()),
        with(
            "told of the cluster",
            format!("{never}, provideClusterInfo: true, {good}"),
        ),
        with(
            "an empty variable",
            format!("{never}, env: [{{name: A, value: null}}], {good}"),
        ),
        with(
            "a variable without a name",
            format!("{never}, env: [{{value: a}}], {good}"),
        ),
        with(
            "not there, with a hint",
            format!("{never}, command: no-such-plugin, installHint: 'brew install it'"),
        ),
        with(
            "a path that is not there",
            format!("{never}, command: /nowhere/plugin"),
        ),
        with("that fails", format!("{never}, command: {failing}")),
        with(
            "that prints nothing",
            format!("{never}, command: /bin/true"),
        ),
        with("that prints another version", format!("{never}, {beta}")),
        with(
            "without a status",
            format!("{never}, {}", printed("v1", "null")),
        ),
        with(
            "without a token",
            format!("{never}, {}", printed("v1", "{}")),
        ),
        with(
            "a token with a line end",
            format!("{never}, {}", printed("v1", r#"{"token":"good\n"}"#)),
        ),
        with(
            "a wrong token",
            format!("{never}, {}", printed("v1", r#"{"token":"bad"}"#)),
        ),
        with(
            "half a certificate",
            format!("{never}, {}", printed("v1", r#"{"clientKeyData":"a"}"#)),
        ),
        with(
            "a certificate",
            format!(
                "{never}, {}",
                printed(
                    "v1",
                    &format!(
                        r#"{{"clientCertificateData":{:?},"clientKeyData":{:?}}}"#,
                        String::from_utf8_lossy(&world.folder.read("c-p256.crt")),
                        String::from_utf8_lossy(&world.folder.read("c-p256.key"))
                    )
                )
            ),
        ),
        with(
            "a certificate of version 1",
            format!(
                "{never}, {}",
                printed(
                    "v1",
                    &format!(
                        r#"{{"clientCertificateData":{:?},"clientKeyData":{:?}}}"#,
                        String::from_utf8_lossy(&world.folder.read("v1-rsa.crt")),
                        String::from_utf8_lossy(&world.folder.read("v1-rsa.key"))
                    )
                )
            ),
        ),
        relative,
    ]
}

fn proxies(world: &World) -> Vec<Row> {
    let port = world.port("rsa");
    let [http, https, socks, login, socks_login] = world.proxies.each_ref().map(|p| p.port);
    let ca = ca(world);
    let mut rows = Vec::new();
    let own = |name: &str, server: &str, url: String, proxy: usize| Row {
        proxy: Some(proxy),
        ..row(
            format!("proxy-url: {name}"),
            config(
                &format!("server: 'https://{server}:{port}', {ca}, proxy-url: '{url}'"),
                GOOD,
            ),
        )
    };
    rows.extend([
        own("http", "127.0.0.1", format!("http://127.0.0.1:{http}"), 0),
        own(
            "http to localhost",
            "localhost",
            format!("http://localhost:{http}"),
            0,
        ),
        own(
            "https",
            "127.0.0.1",
            format!("https://127.0.0.1:{https}"),
            1,
        ),
        own(
            "socks5",
            "127.0.0.1",
            format!("socks5://127.0.0.1:{socks}"),
            2,
        ),
        own(
            "socks5 to localhost",
            "localhost",
            format!("socks5://127.0.0.1:{socks}"),
            2,
        ),
        own(
            "socks5 to a name that only it knows",
            "api.corp.example",
            format!("socks5://127.0.0.1:{socks}"),
            2,
        ),
        own(
            "http to a name that only it knows",
            "api.corp.example",
            format!("http://127.0.0.1:{http}"),
            0,
        ),
        own(
            "http to IPv6",
            "[::1]",
            format!("http://127.0.0.1:{http}"),
            0,
        ),
        own(
            "socks5 to IPv6",
            "[::1]",
            format!("socks5://127.0.0.1:{socks}"),
            2,
        ),
        own(
            "with a password",
            "127.0.0.1",
            format!("http://me:s3c%40ret@127.0.0.1:{login}"),
            3,
        ),
        own(
            "with a wrong password",
            "127.0.0.1",
            format!("http://me:no@127.0.0.1:{login}"),
            3,
        ),
        own(
            "socks5 with a password",
            "127.0.0.1",
            format!("socks5://me:s3c%40ret@127.0.0.1:{socks_login}"),
            4,
        ),
        own(
            "socks5h",
            "127.0.0.1",
            format!("socks5h://127.0.0.1:{socks}"),
            2,
        ),
        own("no scheme", "127.0.0.1", format!("127.0.0.1:{http}"), 0),
        own(
            "another scheme",
            "127.0.0.1",
            format!("ftp://127.0.0.1:{http}"),
            0,
        ),
        own("empty", "127.0.0.1", String::new(), 0),
        own("nobody there", "127.0.0.1", "http://127.0.0.1:1".into(), 0),
    ]);
    for list in ["127.0.0.1", "*", "localhost,127.0.0.0/8"] {
        let mut row = own(
            &format!("http, and NO_PROXY={list}"),
            "127.0.0.1",
            format!("http://127.0.0.1:{http}"),
            0,
        );
        row.environment.push(("NO_PROXY", list.into()));
        rows.push(row);
    }
    let environment = |name: String,
                       server: &str,
                       variable: &'static str,
                       url: String,
                       list: &str,
                       proxy: usize| Row {
        environment: vec![(variable, url), ("NO_PROXY", list.into())],
        proxy: Some(proxy),
        ..row(
            name,
            config(&format!("server: 'https://{server}:{port}', {ca}"), GOOD),
        )
    };
    for (url, proxy) in [
        (format!("http://127.0.0.1:{http}"), 0),
        (format!("127.0.0.1:{http}"), 0),
        (format!("localhost:{http}"), 0),
        (format!("https://127.0.0.1:{https}"), 1),
        (format!("socks5://127.0.0.1:{socks}"), 2),
        (format!("socks5h://127.0.0.1:{socks}"), 2),
        (format!("http://me:s3c%40ret@127.0.0.1:{login}"), 3),
        ("ftp://127.0.0.1:1".into(), 0),
    ] {
        let shown = url.replace(|c: char| c.is_ascii_digit(), "9");
        rows.push(environment(
            format!("HTTPS_PROXY={shown}"),
            "0.0.0.0",
            "HTTPS_PROXY",
            url,
            "",
            proxy,
        ));
    }
    let url = || format!("http://127.0.0.1:{http}");
    rows.push(environment(
        "https_proxy".into(),
        "0.0.0.0",
        "https_proxy",
        url(),
        "",
        0,
    ));
    rows.push(environment(
        "HTTP_PROXY is not for https".into(),
        "0.0.0.0",
        "HTTP_PROXY",
        url(),
        "",
        0,
    ));
    rows.push(environment(
        "ALL_PROXY is nobody's".into(),
        "0.0.0.0",
        "ALL_PROXY",
        url(),
        "",
        0,
    ));
    for (server, list) in [
        ("127.0.0.1", ""),
        ("localhost", ""),
        ("[::1]", ""),
        ("0.0.0.0", "0.0.0.0"),
        ("0.0.0.0", "0.0.0.0/8"),
        ("0.0.0.0", "10.0.0.0/8"),
        ("0.0.0.0", "10.0.0.0/8, 0.0.0.0/8"),
        ("0.0.0.0", "0.0.0.0/33"),
        ("0.0.0.0", &format!("0.0.0.0:{port}")),
        ("0.0.0.0", "0.0.0.0:443"),
        ("0.0.0.0", "*"),
        ("0.0.0.0", "localhost,127.0.0.1,"),
        ("0.0.0.0", ",, 0.0.0.0 ,"),
        ("0.0.0.0", "localhost 127.0.0.1"),
        ("0.0.0.0", "localhost 0.0.0.0"),
        ("0.0.0.0", "://%%[[,0.0.0.0"),
        ("api.corp.example", ""),
        ("api.corp.example", "orp.example"),
        ("api.corp.example", "api.corp.example:443"),
        ("api.corp.example", "corp.example:1"),
        ("api.corp.example", "*.api.corp.example"),
        ("api.corp.example", ".api.corp.example"),
        ("api.corp.example", "api.corp.example.com"),
        ("api.corp.example", "a*.corp.example"),
        ("api.corp.example", "10.0.0.0/8"),
    ] {
        let shown = list.replace(&port.to_string(), "PORT");
        let name = format!("HTTPS_PROXY to {server} with NO_PROXY='{shown}'");
        rows.push(environment(name, server, "HTTPS_PROXY", url(), list, 0));
    }
    rows
}

/// Encodings, multiple documents, and fields in unused entries.
fn json(yaml: &str) -> String {
    let value: serde_json::Value = serde_yaml::from_str(yaml).expect("YAML");
    value.to_string()
}

fn texts(world: &World) -> Vec<Row> {
    let whole = config(
        &format!(
            "server: 'https://127.0.0.1:{}', {}",
            world.port("rsa"),
            ca(world)
        ),
        GOOD,
    );
    let with = |name: &str, text: String| row(format!("file: {name}"), text);
    let more = |name: &str, list: &str, entry: &str| {
        with(
            name,
            whole.replace(&format!("{list}:\n"), &format!("{list}:\n- {entry}\n")),
        )
    };
    let wide = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
        let mut bytes = mark.to_vec();
        bytes.extend(whole.encode_utf16().flat_map(unit));
        bytes
    };
    let mut rows = vec![
        with("CRLF", whole.replace('\n', "\r\n")),
        with("a byte order mark", format!("\u{feff}{whole}")),
        row(
            "file: UTF-16, little end first",
            wide([0xFF, 0xFE], u16::to_le_bytes),
        ),
        row(
            "file: UTF-16, big end first",
            wide([0xFE, 0xFF], u16::to_be_bytes),
        ),
        row(
            "file: Latin-1",
            [whole.as_bytes(), b"# M\xfcller\n"].concat(),
        ),
        with("empty", String::new()),
        with("a word", "word".into()),
        with("broken", whole.replace("clusters:", "clusters: [")),
        with("a second document", format!("{whole}---\nclusters: []\n")),
        with("a broken second document", format!("{whole}---\n{{[:\n")),
        with(
            "a first document with nothing",
            format!("---\n---\n{whole}"),
        ),
        with("something after JSON", format!("{} }}", json(&whole))),
        with("YAML 1.1", format!("%YAML 1.1\n---\n{whole}")),
        with("YAML 1.2", format!("%YAML 1.2\n---\n{whole}")),
        with(
            "preferences are a list",
            format!("{whole}preferences: []\n"),
        ),
        with("extensions are a word", format!("{whole}extensions: x\n")),
        with("a document mark", format!("---\n{whole}")),
        with(
            "no kind and version",
            whole.replace("apiVersion: v1\nkind: Config\n", ""),
        ),
        with(
            "another version",
            whole.replace("apiVersion: v1", "apiVersion: v2"),
        ),
        with("another kind", whole.replace("kind: Config", "kind: Pod")),
        with(
            "unknown fields",
            format!("{whole}colour: blue\npreferences: {{a: [1]}}\nextensions: null\n"),
        ),
        with(
            "a key twice",
            format!("{whole}current-context: a\ncurrent-context: b\n"),
        ),
        with(
            "current-context is a number",
            format!("{whole}current-context: 5\n"),
        ),
        with(
            "its context names no cluster",
            whole.replace("cluster: one, user", "user"),
        ),
        with(
            "its context names another cluster",
            whole.replace("cluster: one, user", "cluster: two, user"),
        ),
        with(
            "its context names no user",
            whole.replace(", user: admin", ""),
        ),
        with(
            "its context names another user",
            whole.replace("user: admin}", "user: nobody}"),
        ),
        with(
            "its context is not there",
            whole.replace("contexts:\n- name: one", "contexts:\n- name: two"),
        ),
        with(
            "its context is null",
            whole.replace("context: {cluster: one, user: admin}", "context: null"),
        ),
        with(
            "the user is null",
            whole.replace("user: {token: good}", "user: null"),
        ),
        with(
            "the cluster is null",
            whole.replacen("cluster: {server", "other: {server", 1),
        ),
        with(
            "no users at all",
            whole.split("users:").next().unwrap_or_default().into(),
        ),
        with(
            "as JSON",
            serde_yaml::from_str::<serde_json::Value>(&whole)
                .expect("YAML")
                .to_string(),
        ),
        with(
            "anchors",
            whole
                .replace("user: {token: good}", "user: &a {token: good}")
                .replace("users:\n", "users:\n- {name: z, user: {}}\n"),
        ),
    ];
    for (name, list, entry) in [
        (
            "a context without a cluster",
            "contexts",
            "{name: half, context: {user: admin}}",
        ),
        (
            "a context without a name",
            "contexts",
            "{context: {cluster: one}}",
        ),
        ("a context that is null", "contexts", "null"),
        ("a context that is a word", "contexts", "word"),
        (
            "a context with a number for a name",
            "contexts",
            "{name: 5}",
        ),
        (
            "a context with a namespace that is none",
            "contexts",
            "{name: x, context: {namespace: A_B}}",
        ),
        (
            "a context twice",
            "contexts",
            "{name: one, context: {cluster: two}}",
        ),
        (
            "a cluster without a server",
            "clusters",
            "{name: half, cluster: {}}",
        ),
        ("a cluster without anything", "clusters", "{name: half}"),
        (
            "a cluster whose CA is not there",
            "clusters",
            "{name: x, cluster: {certificate-authority: /nowhere}}",
        ),
        (
            "a cluster whose CA is no base64",
            "clusters",
            "{name: x, cluster: {certificate-authority-data: '***'}}",
        ),
        (
            "a cluster whose flag is a word",
            "clusters",
            "{name: x, cluster: {insecure-skip-tls-verify: maybe}}",
        ),
        (
            "a cluster whose flag is yes",
            "clusters",
            "{name: x, cluster: {insecure-skip-tls-verify: yes}}",
        ),
        (
            "a cluster with a proxy that is none",
            "clusters",
            "{name: x, cluster: {proxy-url: 'a b'}}",
        ),
        ("a user without anything", "users", "{name: x}"),
        (
            "a user with a number for a token",
            "users",
            "{name: x, user: {token: 5}}",
        ),
        (
            "a user with an unknown mode",
            "users",
            "{name: x, user: {exec: {interactiveMode: Sometimes}}}",
        ),
        (
            "a user with a plugin that is null",
            "users",
            "{name: x, user: {exec: null, auth-provider: null}}",
        ),
        (
            "a user with a key that is no base64",
            "users",
            "{name: x, user: {client-key-data: '***'}}",
        ),
        (
            "a user with an unknown provider",
            "users",
            "{name: x, user: {auth-provider: {name: gcp, config: null}}}",
        ),
    ] {
        rows.push(more(&format!("{name}, elsewhere"), list, entry));
    }
    rows
}

fn several(world: &World) -> Vec<Row> {
    let cluster = format!(
        "server: 'https://127.0.0.1:{}', {}",
        world.port("rsa"),
        ca(world)
    );
    let whole = config(&cluster, GOOD);
    let wrong = config(&cluster, "token: bad");
    let parts = whole.split_once("users:").expect("users");
    let (first, second) = (parts.0.to_string(), format!("users:{}", parts.1));
    let with = |name: &str, files: &[&str]| {
        let files = files.iter().enumerate();
        let files = files.map(|(n, text)| (format!("config{n}"), text.as_bytes().to_vec()));
        Row {
            files: files.collect(),
            ..row(format!("files: {name}"), "")
        }
    };
    let mut missing = with("one that is not there", &[&whole]);
    missing.environment.push((
        "KUBECONFIG",
        format!("/nowhere/config:{}", "FOLDER/config0"),
    ));
    let mut blank = with("an empty name", &[&whole]);
    blank
        .environment
        .push(("KUBECONFIG", ":FOLDER/config0:".into()));
    vec![
        with("context here, user there", &[&first, &second]),
        with("the first user counts", &[&whole, &wrong]),
        with("the first user counts, which is wrong", &[&wrong, &whole]),
        with(
            "a half user counts too",
            &["users: [{name: admin}]", &whole],
        ),
        with("an empty one", &["", &whole]),
        with("a broken one beside it", &[&whole, "clusters: ["]),
        with(
            "one of another kind beside it",
            &[&whole, "kind: Pod\napiVersion: v1"],
        ),
        with(
            "the context twice, half the first time",
            &["contexts: [{name: one, context: {}}]", &whole],
        ),
        missing,
        blank,
    ]
}
