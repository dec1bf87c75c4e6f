//! What every request to a cluster passes through. It keeps the server's clock, reads the header
//! Retry-After, which kube drops, spares a server that is busy, and stops writes at an interrupt. No
//! write begins unless this run is known to be the one that writes, and no answer is without bounds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{DATE, HeaderMap};
use http::{Request, Response, StatusCode};
use k8s_openapi::jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use kube::client::Body;
use kube::{Client, Config, Error};
use tokio::sync::Notify;

use super::bounded::{Bounded, Question};
use super::busy;
use super::change::Change;
use super::heard::Asked;
use super::session::Session;
use super::tenure::Tenure;
use super::without_user::without_user;
use crate::problem::Problem;

/// How many requests a server gets at once that said it is busy.
const SPARED: usize = 4;

/// How long a write waits for a renewal of the Lease that is under way.
const RENEWAL: Duration = Duration::from_secs(5);

/// Clones share one state.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    session: Session,
    tenure: Mutex<Tenure>,
    state: Mutex<State>,
    /// A request ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    writing: usize,
    stopped: bool,
    written: Written,
    put_off: PutOff,
    clock: Option<(Timestamp, Instant)>,
}

/// What was done to a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub writes: usize,
    pub deletes: usize,
    /// Sent; nobody knows what became of them.
    pub unanswered: usize,
}

/// How often a busy server asked to come back later, and the time it named, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOff {
    pub times: usize,
    pub time: Duration,
}

impl Transport {
    /// A client whose requests pass through here.
    pub async fn open(config: Config) -> Result<(Client, Transport), Problem> {
        let url = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let shared = Shared {
            server: without_user(&url).trim_end_matches('/').into(),
            session: Session::open(config).await?,
            tenure: Mutex::default(),
            state: Mutex::default(),
            ended: Notify::new(),
        };
        let transport = Transport {
            shared: Arc::new(shared),
        };
        let own = transport.clone();
        let service = tower::service_fn(move |request| {
            let transport = own.clone();
            async move {
                let question = Question::of(&request);
                let response = transport.send(request).await?;
                Ok::<_, Error>(response.map(|body| Bounded::new(body, question)))
            }
        });
        Ok((Client::new(service, namespace), transport))
    }

    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// From now on writes begin only while this says that they may.
    pub fn write_under(&self, tenure: &Tenure) {
        *self.tenure() = tenure.clone();
    }

    fn tenure(&self) -> MutexGuard<'_, Tenure> {
        let tenure = self.shared.tenure.lock();
        tenure.unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on no write begins; those that want to wait for ever.
    pub fn stop(&self) {
        self.state().stopped = true;
    }

    /// Until no write is under way.
    pub async fn idle(&self) {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            // Before the look: a write that ends between the two must be heard of.
            ended.as_mut().enable();
            if self.state().writing == 0 {
                return;
            }
            ended.await;
        }
    }

    pub fn written(&self) -> Written {
        let state = self.state();
        Written {
            unanswered: state.writing,
            ..state.written
        }
    }

    pub fn put_off(&self) -> PutOff {
        self.state().put_off
    }

    /// The server's own time, to a second; None before its first answer. This machine's clock may
    /// be wrong by days.
    pub fn server_time(&self) -> Option<Timestamp> {
        let (said, at) = self.state().clock?;
        let since = SignedDuration::try_from(at.elapsed()).ok()?;
        // What a server says may be the end of all times.
        said.checked_add(since).ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let change = Change::of(&request);
        let _place = self.place(change).await;
        if change != Change::None {
            let tenure = self.tenure().clone();
            let checked = tenure.checked(RENEWAL).await;
            checked.map_err(|refused| Error::Service(refused.into()))?;
        }
        let asked = Asked::now(&request);
        let answer = self.shared.session.send(request).await;
        if let Some(asked) = asked {
            asked.answered(self.server(), &answer);
        }
        let response = answer?;
        let status = response.status();
        self.heard(change, status, response.headers());
        let busy = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        match busy::retry_after(response.headers()) {
            Some(seconds) if busy => Err(busy::later(response, seconds).await),
            _ => Ok(response),
        }
    }

    /// Until there is one for this request.
    async fn place(&self, change: Change) -> Place {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.state().enter(change) {
                let transport = self.clone();
                return Place { transport, change };
            }
            ended.await;
        }
    }

    fn heard(&self, change: Change, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.state();
        let said = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(time) = said.and_then(|date| rfc2822::parse(date).ok()) {
            state.clock = Some((time.timestamp(), Instant::now()));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = busy::retry_after(headers).unwrap_or(0);
            state.put_off.times += 1;
            state.put_off.time += Duration::from_secs(seconds.into());
        }
        match change {
            _ if !status.is_success() => {}
            Change::Write => state.written.writes += 1,
            Change::Delete => state.written.deletes += 1,
            Change::None => {}
        }
    }
}

impl State {
    fn enter(&mut self, change: Change) -> bool {
        let full = self.put_off.times > 0 && self.in_flight >= SPARED;
        if full || (self.stopped && change != Change::None) {
            return false;
        }
        self.in_flight += 1;
        self.writing += usize::from(change != Change::None);
        true
    }
}

/// One request under way, until the head of its answer or until nobody waits for it any more.
struct Place {
    transport: Transport,
    change: Change,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.transport.state();
        state.in_flight -= 1;
        state.writing -= usize::from(self.change != Change::None);
        drop(state);
        self.transport.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
