//! An OpenID Connect provider as a process on a loopback address, with a certificate of its own CA: the real protocol
//! of a certified library, with one user and one client, and keys that end with it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Certificate, Client, Response, Url, redirect};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::Sandbox;
use crate::cluster::{self, OIDC};
use crate::mesh::ca::pem;

/// The client, its secret, and the user, as the provider has them.
pub const CLIENT: &str = "web";
pub const SECRET: &str = "s3cret-of-web";
const USER: (&str, &str) = ("test-user@localhost", "verysecure");

/// A running provider.
pub struct Provider {
    url: String,
    ca: String,
    ca_file: PathBuf,
    redirect: String,
    client: Client,
    _process: Child,
}

impl Provider {
    /// Starts it. It sends logins back to `redirect`, and to nothing else.
    pub async fn start(sandbox: &Sandbox, redirect: &str) -> Result<Provider> {
        let home = &sandbox.clusters()[0];
        let address = format!("127.0.0.1:{}", home.addresses().port(OIDC));
        let url = format!("https://{address}");
        let folder = sandbox.folder().join("oidc");
        fs::create_dir_all(&folder)?;
        let [ca_file, certificate, key, log] =
            ["ca.pem", "cert.pem", "key.pem", "log"].map(|name| folder.join(name));
        let (ca, der) = certify(&certificate, &key)?;
        fs::write(&ca_file, &ca)?;
        let mut process = home.command(&sandbox.tools().oidc_provider);
        process
            .args([&address, &url])
            .args([&certificate, &key])
            .arg(redirect);
        process
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log)?);
        let process = Command::from(process).kill_on_drop(true).spawn()?;
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .tls_certs_only([Certificate::from_der(&der)?]);
        let provider = Provider {
            url,
            ca,
            ca_file,
            redirect: redirect.into(),
            client: client.build()?,
            _process: process,
        };
        provider.answers().await?;
        Ok(provider)
    }

    async fn answers(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let url = format!("{}/.well-known/openid-configuration", self.url);
        while self.client.get(&url).send().await.is_err() {
            ensure!(
                Instant::now() < deadline,
                "the OpenID provider does not start"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// As in its tokens.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// The file with the CA that issued its certificate.
    pub fn ca_file(&self) -> &std::path::Path {
        &self.ca_file
    }

    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// For API servers that are to accept its tokens.
    pub fn trusted(&self) -> cluster::Issuer<'_> {
        cluster::Issuer {
            url: &self.url,
            ca: &self.ca,
            client: CLIENT,
        }
    }

    /// An ID token of the user, by the authorization code flow.
    pub async fn id_token(&self) -> Result<String> {
        let query = [
            ("client_id", CLIENT),
            ("redirect_uri", &self.redirect),
            ("response_type", "code"),
            ("scope", "openid"),
            ("state", "any"),
        ];
        let begin = Url::parse_with_params(&format!("{}/auth", self.url), query)?;
        let back = self.log_in(begin).await?;
        let code = back.query_pairs().find(|(name, _)| name == "code");
        let code = code.context("no code")?.1.into_owned();
        let form = encoded(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect),
        ])?;
        let asked = self.client.post(format!("{}/oauth/token", self.url));
        let answer = asked
            .basic_auth(CLIENT, Some(SECRET))
            .header(CONTENT_TYPE, FORM)
            .body(form)
            .send()
            .await?;
        let answer: Value = serde_json::from_str(&answer.text().await?)?;
        let token = answer["id_token"].as_str();
        Ok(token.context("no ID token")?.to_string())
    }

    /// Logs the user in, as a browser that was sent to `begin`, and returns where the provider sends it back to.
    pub async fn log_in(&self, begin: Url) -> Result<Url> {
        let page = location(&self.client.get(begin).send().await?)?;
        let id = page.query_pairs().find(|(name, _)| name == "authRequestID");
        let id = id.context("no login page")?.1.into_owned();
        let form = encoded(&[("id", &id), ("username", USER.0), ("password", USER.1)])?;
        let asked = self.client.post(format!("{}/login/username", self.url));
        let answer = asked.header(CONTENT_TYPE, FORM).body(form).send().await?;
        let callback = location(&answer)?;
        location(&self.client.get(callback).send().await?)
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn encoded(form: &[(&str, &str)]) -> Result<String> {
    let url = Url::parse_with_params("http://any/", form)?;
    Ok(url.query().unwrap_or_default().to_string())
}

fn location(answer: &Response) -> Result<Url> {
    let to = answer.headers().get(LOCATION);
    let to = to.with_context(|| format!("{}: no redirect", answer.url()))?;
    Ok(answer.url().join(to.to_str()?)?)
}

/// Writes a certificate for 127.0.0.1 and its key, and returns the CA as PEM and DER.
pub(crate) fn certify(
    certificate: &std::path::Path,
    key: &std::path::Path,
) -> Result<(String, Vec<u8>)> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = ca.self_signed(&ca_key)?.der().to_vec();
    let own_key = KeyPair::generate()?;
    let mut own = CertificateParams::default();
    own.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let own = own.signed_by(&own_key, &Issuer::new(ca, ca_key))?;
    fs::write(certificate, pem("CERTIFICATE", own.der()))?;
    fs::write(key, pem("PRIVATE KEY", &own_key.serialize_der()))?;
    Ok((pem("CERTIFICATE", &root), root))
}
