//! A client that refreshes its credentials. Credentials that worked and are rejected later are loaded again,
//! once; a rejection of credentials that never worked is final.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Config, Error};

use super::kubeconfig::{Identity, asks_plugin, certificate, token_is_sound, token_of};
use super::tls::{self, Trust};
use super::{plugin, wire};
use crate::code::Code;
use crate::files;
use crate::problem::{self, Exit, Problem};

/// Time limit besides the plugin's own: kube may run other helpers that a kubeconfig names.
const BUILD_TIMEOUT: Duration = Duration::from_secs(20);

pub struct AuthClient {
    config: Config,
    current: Mutex<Arc<Credentials>>,
    refreshing: tokio::sync::Mutex<()>,
}

/// One set of credentials: the client that uses it, and whether a server accepted it.
struct Credentials {
    client: Client,
    worked: AtomicBool,
}

impl AuthClient {
    pub async fn open(config: Config) -> Result<AuthClient, Problem> {
        let current = Mutex::new(load(&config).await?);
        let refreshing = tokio::sync::Mutex::default();
        Ok(AuthClient {
            config,
            current,
            refreshing,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sends the request. If the server rejects the credentials, refreshes them and sends it once more.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let request = || Request::from_parts(parts.clone(), Body::from(body.clone()));
        let current = self.current();
        let response = current.client.send(request()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            current.worked.store(true, Ordering::Relaxed);
            return Ok(response);
        }
        let new = match self.refresh(&current).await {
            Some(new) => new.map_err(no_credentials)?,
            None => return Ok(response),
        };
        let response = new.client.send(request()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            new.worked.store(true, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Returns None if there is no way to get other credentials. Requests that were rejected at the same time
    /// share one refresh.
    async fn refresh(
        &self,
        refused: &Arc<Credentials>,
    ) -> Option<Result<Arc<Credentials>, Problem>> {
        let _one = self.refreshing.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, refused) {
            return Some(Ok(current));
        }
        let user = &self.config.auth_info;
        let changing = asks_plugin(user) || user.token_file.is_some();
        if !changing || !refused.worked.load(Ordering::Relaxed) {
            return None;
        }
        let new = load(&self.config).await;
        if let Ok(new) = &new {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = new.clone();
        }
        Some(new)
    }

    fn current(&self) -> Arc<Credentials> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }
}

async fn load(config: &Config) -> Result<Arc<Credentials>, Problem> {
    let mut config = config.clone();
    let user = &mut config.auth_info;
    if asks_plugin(user) {
        *user = plugin::run(user).await?;
    }
    user.exec = None;
    if let Some(file) = user.token_file.take() {
        match files::run_blocking(move || token_of(&file)).await {
            Ok(token) => user.token = Some(token.into()),
            // As in kubectl, the token field is the fallback for an unreadable token file.
            Err(_) if user.token.is_some() => {}
            Err(cause) => return Err(unusable(cause)),
        }
    }
    // Go sends a username without a password; kube needs both.
    if user.username.is_some() {
        user.password.get_or_insert_default();
    }
    token_is_sound(user).map_err(unusable)?;
    let provider = user.auth_provider.as_ref();
    let provider = provider.map_or("credentials", |p| &p.name).to_string();
    let identity = user.clone();
    let identity = files::run_blocking(move || certificate(&identity)).await;
    let identity = identity.map_err(unusable)?;
    let build = tokio::task::spawn_blocking(move || build(&config, identity));
    let failed = |cause: String| {
        Problem::new(Exit::Unreachable, format!("{provider}: {cause}")).code(Code::NoCredentials)
    };
    match tokio::time::timeout(BUILD_TIMEOUT, build).await {
        Ok(Ok(client)) => Ok(Arc::new(Credentials {
            client: client.map_err(unusable)?,
            worked: AtomicBool::new(false),
        })),
        // The task's own error is dropped, because it quotes its input.
        Ok(Err(_)) => Err(failed("could not be read; please report this".into())),
        Err(_) => Err(failed(problem::no_answer(BUILD_TIMEOUT))),
    }
}

fn unusable(cause: String) -> Problem {
    Problem::new(Exit::Preflight, cause).code(Code::KubeconfigUnusable)
}

fn build(config: &Config, identity: Option<Identity>) -> Result<Client, String> {
    let trust = match (config.accept_invalid_certs, &config.root_cert) {
        (true, _) => Trust::Anything,
        (false, None) => Trust::Machine,
        (false, Some(named)) => Trust::Named(named.iter().cloned().map(Into::into).collect()),
    };
    let identity = identity.map(|pem| tls::identity(&pem.certificate, &pem.key));
    wire::client(config, tls::config(trust, identity.transpose()?)?)
}

/// Returned as a 401 response, so that the request is not retried.
fn no_credentials(problem: Problem) -> Error {
    let status = Status::failure(&problem.to_string(), problem::NO_CREDENTIALS);
    Error::Api(status.with_code(StatusCode::UNAUTHORIZED.as_u16()).boxed())
}
