//! Certificates and keys of all common kinds, created with openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Folder {
    pub path: PathBuf,
}

impl Folder {
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).expect("a file")
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.file(name), content).expect("a file");
    }

    #[track_caller]
    fn openssl(&self, line: &str) {
        let words = shlex::split(line).expect("words");
        let output = Command::new("openssl")
            .args(words)
            .current_dir(&self.path)
            .output();
        let output = output.expect("openssl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {line}: {said}");
    }

    fn key(&self, name: &str, kind: &str) {
        let how = match kind {
            "ed25519" => "-algorithm ed25519".to_string(),
            rsa if rsa.starts_with("rsa:") => {
                format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{}", &rsa[4..])
            }
            curve => format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"),
        };
        self.openssl(&format!("genpkey {how} -out {name}.key"));
    }

    fn authority(&self, name: &str) {
        self.key(name, "P-256");
        self.openssl(&format!(
            "req -x509 -new -key {name}.key -out {name}.crt -subj /CN={name} -days 30 \
             -addext basicConstraints=critical,CA:true"
        ));
    }

    /// Creates a CA that has expired.
    fn old_authority(&self) {
        self.key("old", "P-256");
        self.openssl("req -new -key old.key -out old.csr -subj /CN=old");
        self.write("old.ext", b"basicConstraints=critical,CA:true\n");
        self.dated(
            "old",
            "-selfsign -keyfile old.key",
            PAST,
            "-extfile old.ext",
        );
    }

    /// Creates `NAME.crt` and `NAME.key`, signed by `ca`. Without extensions, the certificate has version 1.
    fn issued(&self, name: &str, kind: &str, subject: &str, ca: &str, extensions: &str) {
        self.key(name, kind);
        self.openssl(&format!(
            "req -new -key {name}.key -out {name}.csr -subj {subject}"
        ));
        let extended = match extensions {
            "" => String::new(),
            _ => {
                self.write(&format!("{name}.ext"), extensions.as_bytes());
                format!("-extfile {name}.ext")
            }
        };
        match name {
            "expired" => self.dated(name, &format!("-cert {ca}.crt -keyfile {ca}.key"), PAST, &extended),
            "early" => self.dated(name, &format!("-cert {ca}.crt -keyfile {ca}.key"), FUTURE, &extended),
            _ => self.openssl(&format!(
                "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -out {name}.crt -days 20 {extended}"
            )),
        }
    }

    /// Uses `openssl ca`, the only command that accepts arbitrary dates in every version.
    fn dated(&self, name: &str, signer: &str, dates: &str, extended: &str) {
        self.write("index", b"");
        self.write("ca.cnf", CONFIGURATION);
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf {signer} {dates} -in {name}.csr -out {name}.crt {extended}"
        ));
    }
}

const PAST: &str = "-startdate 20200101000000Z -enddate 20200201000000Z";
const FUTURE: &str = "-startdate 20600101000000Z -enddate 20610101000000Z";
const CONFIGURATION: &[u8] = b"[ca]\ndefault_ca=own\n[own]\nnew_certs_dir=.\ndatabase=index\nrand_serial=yes\n\
default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=optional\norganizationName=optional\n";

const NAMES: &str =
    "subjectAltName=IP:127.0.0.1,IP:0.0.0.0,IP:::1,DNS:localhost,DNS:api.corp.example\n";
const SERVER: &str = "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
const CLIENT: &str = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n";

/// Server certificates by name, with the kind of their key.
pub const SERVERS: [(&str, &str); 12] = [
    ("rsa", "rsa:2048"),
    ("rsa4096", "rsa:4096"),
    ("p256", "P-256"),
    ("p384", "P-384"),
    ("ed25519", "ed25519"),
    ("expired", "P-256"),
    ("early", "P-256"),
    ("elsewhere", "P-256"),
    ("forclients", "P-256"),
    ("nameless", "P-256"),
    ("below", "P-256"),
    ("isca", "P-256"),
];

/// Server certificates that only openssl can serve.
pub const STRANGE: [(&str, &str); 2] = [("p521", "P-521"), ("rsa1024", "rsa:1024")];

/// Client certificates by name.
pub const CLIENTS: [(&str, &str); 8] = [
    ("c-rsa", "rsa:2048"),
    ("c-p256", "P-256"),
    ("c-p384", "P-384"),
    ("c-ed25519", "ed25519"),
    ("v1-rsa", "rsa:2048"),
    ("v1-p256", "P-256"),
    ("v1-ed25519", "ed25519"),
    ("c-unknown", "P-256"),
];

pub const STRANGE_CLIENTS: [(&str, &str); 2] = [("c-p521", "P-521"), ("c-rsa1024", "rsa:1024")];

/// Creates a CA, a server certificate, and a client certificate of version 1.
pub fn few(path: &Path) -> Folder {
    let folder = Folder { path: path.into() };
    folder.authority("ca");
    folder.issued(
        "p256",
        "P-256",
        "/CN=api",
        "ca",
        &format!("{SERVER}{NAMES}"),
    );
    folder.issued("v1-rsa", "rsa:2048", "/O=system:masters/CN=admin", "ca", "");
    folder
}

/// Creates all certificates.
pub fn make(path: &Path) -> Folder {
    let folder = Folder { path: path.into() };
    for name in ["ca", "other", "root"] {
        folder.authority(name);
    }
    folder.old_authority();
    let middle = "basicConstraints=critical,CA:TRUE\n";
    folder.issued("middle", "P-256", "/CN=middle", "root", middle);
    for (name, kind) in SERVERS.into_iter().chain(STRANGE) {
        let extensions = match name {
            "elsewhere" => format!("{SERVER}subjectAltName=DNS:elsewhere.example\n"),
            "forclients" => format!("{CLIENT}{NAMES}"),
            "nameless" => SERVER.into(),
            "isca" => format!("basicConstraints=critical,CA:TRUE\n{NAMES}"),
            _ => format!("{SERVER}{NAMES}"),
        };
        let ca = if name == "below" { "middle" } else { "ca" };
        folder.issued(name, kind, "/CN=api", ca, &extensions);
    }
    folder.issued(
        "ofold",
        "P-256",
        "/CN=api",
        "old",
        &format!("{SERVER}{NAMES}"),
    );
    // Like `openssl req -x509`: self-signed, and a CA.
    folder.key("self", "P-256");
    folder.openssl(&format!(
        "req -x509 -new -key self.key -out self.crt -subj /CN=self -days 30 -addext {}",
        NAMES.trim()
    ));
    let chain = [folder.read("below.crt"), folder.read("middle.crt")].concat();
    folder.write("below.crt", &chain);
    for (name, kind) in CLIENTS.into_iter().chain(STRANGE_CLIENTS) {
        let extensions = if name.starts_with("v1") { "" } else { CLIENT };
        folder.issued(name, kind, "/O=system:masters/CN=admin", "ca", extensions);
    }
    for (name, how) in [
        ("c-rsa", "rsa -traditional"),
        ("c-p256", "ec"),
        ("c-p384", "ec"),
    ] {
        folder.openssl(&format!("{how} -in {name}.key -out {name}.old.key"));
    }
    folder.openssl("pkcs8 -topk8 -in c-p256.key -passout pass:x -out c-p256.locked.key");
    folder
}
