//! Every request to a cluster passes through this transport. It tracks the server's clock, reads the header
//! Retry-After, limits the load on a server that throttles, and blocks writes after an interrupt. It sends a
//! write only while this run holds the Lease, and it limits the size of every response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{DATE, HeaderMap};
use http::{Request, Response, StatusCode};
use k8s_openapi::jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use kube::client::Body;
use kube::{Client, Config, Error};
use tokio::sync::Notify;

use super::auth::AuthClient;
use super::bounded::{Bounded, Question};
use super::lease_state::LeaseState;
use super::proxy;
use super::request::{Effect, PendingLog};
use super::retry_after;
use super::server::without_user;
use crate::problem::Problem;

/// How many concurrent requests a server gets after it has throttled one.
const MAX_IN_FLIGHT_WHEN_THROTTLED: usize = 4;

/// How long a write waits for a pending renewal of the Lease.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Clones share one state.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    proxy: Option<String>,
    client: AuthClient,
    lease: Mutex<LeaseState>,
    state: Mutex<State>,
    /// Notified when a request ends.
    ended: Notify,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    writing: usize,
    stopped: bool,
    written: WriteCounts,
    throttled: Throttled,
    clock: Option<(Timestamp, Instant)>,
}

/// The changes made in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteCounts {
    pub writes: usize,
    pub deletes: usize,
    /// Sent, with an unknown result.
    pub unanswered: usize,
}

/// How many requests the server throttled, and the sum of the delays that it asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    pub times: usize,
    pub time: Duration,
}

impl Transport {
    /// Creates a client and the transport that its requests pass through.
    pub async fn open(config: Config) -> Result<(Client, Transport), Problem> {
        let url = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let shared = Shared {
            server: without_user(&url).trim_end_matches('/').into(),
            proxy: config.proxy_url.as_ref().map(proxy::shown),
            client: AuthClient::open(config).await?,
            lease: Mutex::default(),
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

    /// How the client connects.
    pub fn config(&self) -> &Config {
        self.shared.client.config()
    }

    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// The server, and the proxy on the way to it, as errors name them.
    pub fn route(&self) -> String {
        match &self.shared.proxy {
            Some(proxy) => format!("{} through proxy {proxy}", self.shared.server),
            None => self.shared.server.clone(),
        }
    }

    /// From now on, sends writes only while this Lease is held.
    pub fn write_under(&self, lease: &LeaseState) {
        *self.lease() = lease.clone();
    }

    fn lease(&self) -> MutexGuard<'_, LeaseState> {
        let lease = self.shared.lease.lock();
        lease.unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, sends no write. A write that is not sent yet never completes.
    pub fn stop(&self) {
        self.state().stopped = true;
    }

    /// Waits until no write is in flight.
    pub async fn idle(&self) {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            // Register before checking, so that a write that ends in between is noticed.
            ended.as_mut().enable();
            if self.state().writing == 0 {
                return;
            }
            ended.await;
        }
    }

    pub fn written(&self) -> WriteCounts {
        let state = self.state();
        WriteCounts {
            unanswered: state.writing,
            ..state.written
        }
    }

    pub fn throttled(&self) -> Throttled {
        self.state().throttled
    }

    /// The time of the server's clock, to the second; None before its first response. This machine's clock may
    /// be wrong by days.
    pub fn server_time(&self) -> Option<Timestamp> {
        let (said, at) = self.state().clock?;
        let since = SignedDuration::try_from(at.elapsed()).ok()?;
        // The server may send the latest date there is.
        said.checked_add(since).ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let effect = Effect::of(&request);
        let _in_flight = self.admit(effect).await;
        if effect != Effect::None {
            let lease = self.lease().clone();
            let held = lease.wait_checked(RENEWAL_TIMEOUT).await;
            held.map_err(|refused| Error::Service(refused.into()))?;
        }
        let pending = PendingLog::start(&request);
        let answer = self.shared.client.send(request).await;
        if let Some(pending) = pending {
            pending.finished(self.server(), &answer);
        }
        let response = answer?;
        let status = response.status();
        self.record(effect, status, response.headers());
        let busy = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        match retry_after::seconds(response.headers()) {
            Some(seconds) if busy => Err(retry_after::error(response, seconds).await),
            _ => Ok(response),
        }
    }

    /// Waits until this request may be sent.
    async fn admit(&self, effect: Effect) -> InFlight {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.state().try_admit(effect) {
                let transport = self.clone();
                return InFlight { transport, effect };
            }
            ended.await;
        }
    }

    fn record(&self, effect: Effect, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.state();
        let said = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(time) = said.and_then(|date| rfc2822::parse(date).ok()) {
            state.clock = Some((time.timestamp(), Instant::now()));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = retry_after::seconds(headers).unwrap_or(0);
            state.throttled.times += 1;
            state.throttled.time += Duration::from_secs(seconds.into());
        }
        match effect {
            _ if !status.is_success() => {}
            Effect::Write => state.written.writes += 1,
            Effect::Delete => state.written.deletes += 1,
            Effect::None => {}
        }
    }
}

impl State {
    fn try_admit(&mut self, effect: Effect) -> bool {
        let full = self.throttled.times > 0 && self.in_flight >= MAX_IN_FLIGHT_WHEN_THROTTLED;
        if full || (self.stopped && effect != Effect::None) {
            return false;
        }
        self.in_flight += 1;
        self.writing += usize::from(effect != Effect::None);
        true
    }
}

/// A request in flight, until the head of its response arrives or its future is dropped.
struct InFlight {
    transport: Transport,
    effect: Effect,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.transport.state();
        state.in_flight -= 1;
        state.writing -= usize::from(self.effect != Effect::None);
        drop(state);
        self.transport.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
