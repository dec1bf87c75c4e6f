//! A client with the credentials of now. Those that worked and are refused later are fetched anew,
//! once; those that never worked are refused for good.

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

/// Beyond the plugin's own time: a kubeconfig may name other helpers, which kube runs.
const BUILD: Duration = Duration::from_secs(20);

pub struct Session {
    config: Config,
    now: Mutex<Arc<Granted>>,
    renewal: tokio::sync::Mutex<()>,
}

/// What one set of credentials got.
struct Granted {
    client: Client,
    worked: AtomicBool,
}

impl Session {
    pub async fn open(config: Config) -> Result<Session, Problem> {
        let now = Mutex::new(granted(&config).await?);
        let renewal = tokio::sync::Mutex::default();
        Ok(Session {
            config,
            now,
            renewal,
        })
    }

    /// Sends, and after a refusal of the credentials once more with new ones.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let request = || Request::from_parts(parts.clone(), Body::from(body.clone()));
        let now = self.now();
        let response = now.client.send(request()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            now.worked.store(true, Ordering::Relaxed);
            return Ok(response);
        }
        let new = match self.renewed(&now).await {
            Some(new) => new.map_err(no_credentials)?,
            None => return Ok(response),
        };
        let response = new.client.send(request()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            new.worked.store(true, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// None: there is no way to others. Requests that were refused together fetch them together.
    async fn renewed(&self, refused: &Arc<Granted>) -> Option<Result<Arc<Granted>, Problem>> {
        let _one = self.renewal.lock().await;
        let now = self.now();
        if !Arc::ptr_eq(&now, refused) {
            return Some(Ok(now));
        }
        let user = &self.config.auth_info;
        let changing = asks_plugin(user) || user.token_file.is_some();
        if !changing || !refused.worked.load(Ordering::Relaxed) {
            return None;
        }
        let new = granted(&self.config).await;
        if let Ok(new) = &new {
            *self.now.lock().unwrap_or_else(PoisonError::into_inner) = new.clone();
        }
        Some(new)
    }

    fn now(&self) -> Arc<Granted> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }
}

async fn granted(config: &Config) -> Result<Arc<Granted>, Problem> {
    let mut config = config.clone();
    let user = &mut config.auth_info;
    if asks_plugin(user) {
        *user = plugin::run(user).await?;
    }
    user.exec = None;
    if let Some(file) = user.token_file.take() {
        match files::aside(move || token_of(&file)).await {
            Ok(token) => user.token = Some(token.into()),
            // To kubectl too, a token beside the file is for when there is none in it.
            Err(_) if user.token.is_some() => {}
            Err(cause) => return Err(unusable(cause)),
        }
    }
    // Go sends either of the two, kube only both.
    if user.username.is_some() {
        user.password.get_or_insert_default();
    }
    token_is_sound(user).map_err(unusable)?;
    let provider = user.auth_provider.as_ref();
    let provider = provider.map_or("credentials", |p| &p.name).to_string();
    let identity = user.clone();
    let identity = files::aside(move || certificate(&identity)).await;
    let identity = identity.map_err(unusable)?;
    let built = tokio::task::spawn_blocking(move || built(&config, identity));
    let failed = |cause: String| {
        Problem::new(Exit::Unreachable, format!("{provider}: {cause}")).code(Code::NoCredentials)
    };
    match tokio::time::timeout(BUILD, built).await {
        Ok(Ok(client)) => Ok(Arc::new(Granted {
            client: client.map_err(unusable)?,
            worked: AtomicBool::new(false),
        })),
        // Not the task's own words: they quote what it worked on.
        Ok(Err(_)) => Err(failed("could not be read; please report this".into())),
        Err(_) => Err(failed(problem::no_answer(BUILD))),
    }
}

fn unusable(cause: String) -> Problem {
    Problem::new(Exit::Preflight, cause).code(Code::KubeconfigUnusable)
}

fn built(config: &Config, identity: Option<Identity>) -> Result<Client, String> {
    let trust = match (config.accept_invalid_certs, &config.root_cert) {
        (true, _) => Trust::Anything,
        (false, None) => Trust::Machine,
        (false, Some(named)) => Trust::Named(named.iter().cloned().map(Into::into).collect()),
    };
    let identity = identity.map(|pem| tls::identity(&pem.certificate, &pem.key));
    wire::client(config, tls::config(trust, identity.transpose()?)?)
}

/// As an answer, because one more try will not help.
fn no_credentials(problem: Problem) -> Error {
    let status = Status::failure(&problem.to_string(), problem::NO_CREDENTIALS);
    Error::Api(status.with_code(StatusCode::UNAUTHORIZED.as_u16()).boxed())
}
