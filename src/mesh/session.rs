//! A client with the credentials of now. Those that worked and are refused later are fetched anew,
//! once; those that never worked are refused for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Config, Error};

use super::plugin;
use crate::problem;

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
    pub async fn open(config: Config) -> Result<Session, String> {
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
    async fn renewed(&self, refused: &Arc<Granted>) -> Option<Result<Arc<Granted>, String>> {
        let _one = self.renewal.lock().await;
        let now = self.now();
        if !Arc::ptr_eq(&now, refused) {
            return Some(Ok(now));
        }
        let user = &self.config.auth_info;
        let changing = plugin::is_used(user) || user.token_file.is_some();
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

async fn granted(config: &Config) -> Result<Arc<Granted>, String> {
    let mut config = config.clone();
    if plugin::is_used(&config.auth_info) {
        config.auth_info = plugin::run(&config.auth_info).await?;
    }
    let provider = config.auth_info.auth_provider.as_ref();
    let provider = provider.map_or("credentials", |p| &p.name).to_string();
    let built = tokio::task::spawn_blocking(move || Client::try_from(config));
    match tokio::time::timeout(BUILD, built).await {
        Ok(Ok(Ok(client))) => Ok(Arc::new(Granted {
            client,
            worked: AtomicBool::new(false),
        })),
        Ok(Ok(Err(Error::Auth(kube::client::AuthError::AuthExecRun { out, .. })))) => {
            Err(format!("{provider}: its helper failed ({})", out.status))
        }
        Ok(Ok(Err(error))) => Err(problem::kube_text(&error)),
        // A panic, which is told as one.
        Ok(Err(_)) => Err(format!("{provider}: the client was not built")),
        Err(_) => Err(format!("{provider}: {}", problem::no_answer(BUILD))),
    }
}

/// As an answer, because one more try will not help.
fn no_credentials(cause: String) -> Error {
    let status = Status::failure(&cause, problem::NO_CREDENTIALS);
    Error::Api(status.with_code(StatusCode::UNAUTHORIZED.as_u16()).boxed())
}
