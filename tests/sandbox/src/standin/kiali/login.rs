//! The login through an OpenID Connect provider, by the authorization code flow: the redirect to the provider, the
//! exchange of the code with the mounted client secret, and a session in a cookie. Unlike the real one, it does not
//! verify the signature of the ID token, which comes directly from the provider, and it serves every session with
//! Kiali's own rights, even if the configuration asks for those of the user.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::HeaderValue;
use hyper::StatusCode;
use hyper::header::{LOCATION, SET_COOKIE};
use reqwest::{Certificate, Client, Url};
use serde_json::Value;

use super::Kiali;
use super::config::OpenId;
use super::http::{Answer, Call, error, text};
use crate::standin::container::Container;

const CALLBACK_STATE: &str = "kiali-token-openid-nonce";
const SESSION: &str = "kiali-token";
/// Where the operator mounts the ConfigMap and the Secret.
const CA_BUNDLE: &str = "/kiali-cabundle/additional-ca-bundle.pem";
const CLIENT_SECRET: &str = "/kiali-secret/oidc-secret";

/// What Kiali knows of its users.
pub(super) struct Login {
    openid: OpenId,
    /// Read only here, at the start.
    secret: Option<String>,
    ca: Option<String>,
    sessions: Mutex<HashSet<String>>,
}

impl Login {
    pub(super) fn new(openid: OpenId, container: &Container) -> Login {
        let read = |name| std::fs::read_to_string(container.path(name)?).ok();
        Login {
            openid,
            secret: read(CLIENT_SECRET),
            ca: read(CA_BUNDLE),
            sessions: Mutex::default(),
        }
    }

    pub(super) fn knows(&self, call: &Call) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(|e| e.into_inner());
        let token = call.cookies.get(SESSION);
        token.is_some_and(|token| sessions.contains(token))
    }

    fn client(&self) -> Result<Client, String> {
        let mut client = Client::builder()
            .timeout(Duration::from_secs(10))
            .no_proxy();
        if let Some(ca) = &self.ca {
            let ca = Certificate::from_pem(ca.as_bytes()).map_err(|e| e.to_string())?;
            client = client.tls_certs_merge([ca]);
        }
        client.build().map_err(|e| e.to_string())
    }

    /// An endpoint of the provider.
    async fn endpoint(&self, name: &str) -> Result<Url, String> {
        let issuer = &self.openid.issuer;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let answer = self.client()?.get(url).send().await;
        let answer = answer.map_err(|e| format!("{e:?}"))?.text().await;
        let said: Value =
            serde_json::from_str(&answer.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        if said["issuer"] != issuer.as_str() {
            return Err(format!(
                "mismatch between the configured issuer_uri ({issuer}) and the exposed Issuer URI in OpenId provider metadata"
            ));
        }
        let endpoint = said[name].as_str().unwrap_or_default();
        Url::parse(endpoint).map_err(|e| e.to_string())
    }

    async fn id_token(&self, code: &str, redirect: &str) -> Result<String, String> {
        let mut form = vec![
            ("code", code),
            ("grant_type", "authorization_code"),
            ("redirect_uri", redirect),
        ];
        if self.secret.is_none() {
            form.push(("client_id", &self.openid.client_id));
        }
        let form = Url::parse_with_params("http://any/", form).map_err(|e| e.to_string())?;
        let mut asked = self.client()?.post(self.endpoint("token_endpoint").await?);
        if let Some(secret) = &self.secret {
            asked = asked.basic_auth(&self.openid.client_id, Some(secret));
        }
        let asked = asked
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_string());
        let answer = asked.send().await.map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            let status = answer.status();
            return Err(format!("request failed (HTTP response status = {status})"));
        }
        let said = answer.text().await.map_err(|e| e.to_string())?;
        let said: Value = serde_json::from_str(&said).map_err(|e| e.to_string())?;
        let token = said["id_token"].as_str();
        Ok(token.ok_or("the IdP did not provide an id_token")?.into())
    }
}

/// The URL of Kiali as the browser sees it, which is also the redirect URI.
fn own_url(kiali: &Kiali, call: &Call) -> String {
    format!("http://{}{}", call.host, kiali.config.root)
}

/// Sends a browser to the provider.
pub(super) async fn begin(kiali: &Kiali, login: &Login, call: &Call) -> Answer {
    let mut to = match login.endpoint("authorization_endpoint").await {
        Ok(to) => to,
        Err(why) => {
            let why = format!("Error fetching OpenID provider metadata: {why}");
            return text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", why);
        }
    };
    let state = uuid();
    to.query_pairs_mut()
        .append_pair("client_id", &login.openid.client_id)
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", &own_url(kiali, call))
        .append_pair("scope", "openid profile email")
        .append_pair("state", &state);
    redirect(kiali, to.as_str(), (CALLBACK_STATE, &state))
}

/// Serves a browser that comes back from the provider; None for any other request.
pub(super) async fn end(kiali: &Kiali, login: &Login, call: &Call) -> Option<Answer> {
    let (code, state) = (call.query.get("code")?, call.query.get("state")?);
    if call.cookies.get(CALLBACK_STATE) != Some(state) {
        return Some(error(
            StatusCode::FORBIDDEN,
            "Request rejected: CSRF mitigation",
        ));
    }
    let root = format!("{}/", kiali.config.root);
    Some(match login.id_token(code, &own_url(kiali, call)).await {
        Ok(_) => {
            let session = uuid();
            let mut sessions = login.sessions.lock().unwrap_or_else(|e| e.into_inner());
            sessions.insert(session.clone());
            redirect(kiali, &root, (SESSION, &session))
        }
        Err(why) => {
            let failed = [("openid_error", why)];
            let failed = Url::parse_with_params("http://any/", failed).ok()?;
            let failed = format!("{root}?{}", failed.query().unwrap_or_default());
            redirect(kiali, &failed, (CALLBACK_STATE, ""))
        }
    })
}

fn redirect(kiali: &Kiali, to: &str, (name, value): (&str, &str)) -> Answer {
    let mut answer = text(StatusCode::FOUND, "text/plain", "");
    let root = &kiali.config.root;
    let cookie = format!("{name}={value}; Path={root}; HttpOnly; SameSite=Lax");
    for (header, value) in [(LOCATION, to), (SET_COOKIE, cookie.as_str())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(header, value);
        }
    }
    answer
}

fn uuid() -> String {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    random.unwrap_or_default().trim().to_string()
}
