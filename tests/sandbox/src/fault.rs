//! A proxy between a program and a real API server that fails like networks, load balancers and busy servers do. It
//! answers in place of the server, loses the answers to requests that were executed, and cuts or stalls streams. Faults
//! are data, and a journal records what happened to each request.
//!
//! It terminates TLS with a CA of its own and speaks HTTP/1.1, as kube does. A request with a bearer token is forwarded
//! with only that token. A request without one was authenticated by the kubeconfig's client certificate, which cannot
//! be forwarded, so it is sent with the cluster admin's certificate. So it cannot show a rejected client certificate.
//! Nor can it show HTTP/2, lost or late packets below TLS, or a connection that breaks between two requests, because it
//! opens a new upstream connection for each request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::Cluster;

mod answer;
mod body;
mod gate;
mod rule;
mod serve;
mod tls;

pub use answer::Answer;
pub use gate::Gate;
pub use rule::{Action, Fault, Flood, Verb, When};

/// A running proxy. Stops when dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: String,
    ca: String,
    name: String,
    _task: AbortOnDropHandle<()>,
}

/// State shared by all connections.
struct Shared {
    upstream: tls::Upstream,
    /// Requests with another user agent, such as those of the stand-ins, are forwarded unchanged and left out of the
    /// journal.
    agent: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    faults: Vec<rule::Armed>,
    journal: Vec<Entry>,
    in_flight: usize,
}

/// One request and what was done to it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub verb: Verb,
    pub method: String,
    /// The path with the query.
    pub uri: String,
    /// None if the request was forwarded and its answer returned unchanged.
    pub done: Option<Action>,
    pub at: Instant,
    /// How many requests, including this one, were waiting for the head of their answer when this one arrived.
    pub in_flight: usize,
    /// The status code of the answer, from the server or the proxy. None before the answer.
    pub code: Option<u16>,
}

/// A request that is waiting for the head of its answer. Dropped as soon as nobody waits for it.
struct Visit {
    shared: Arc<Shared>,
    index: usize,
    action: Option<Action>,
}

impl Proxy {
    /// Starts a proxy in front of this cluster, for the program whose user agent starts with `agent`. It forwards
    /// everything until a fault is added.
    pub async fn start(cluster: &Cluster, agent: &str) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("https://{}", listener.local_addr()?);
        let own = tls::Own::new()?;
        let shared = Arc::new(Shared {
            upstream: tls::Upstream::to(cluster)?,
            agent: agent.into(),
            state: Mutex::default(),
        });
        let task = tokio::spawn(serve::serve(listener, own.acceptor, shared.clone()));
        Ok(Proxy {
            shared,
            address,
            ca: own.ca,
            name: cluster.name().into(),
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Adds a fault for later requests. The first fault that matches a request and is due is applied to it.
    pub fn add(&self, fault: Fault) {
        self.shared.state().faults.push(fault.armed());
    }

    /// Removes all faults and keeps the journal.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// Returns all requests so far, in the order of arrival.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.state().journal.clone()
    }

    /// Returns the requests that a fault was applied to.
    pub fn disturbed(&self) -> Vec<Entry> {
        let mut entries = self.journal();
        entries.retain(|entry| entry.done.is_some());
        entries
    }

    /// The proxy's own CA as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Writes a copy of the kubeconfig that reaches this cluster through the proxy, with the proxy's CA.
    pub fn kubeconfig(&self, original: &Path, copy: PathBuf) -> Result<PathBuf> {
        let text = fs::read_to_string(original)?;
        let mut config: Value = serde_yaml::from_str(&text)?;
        let clusters = config["clusters"].as_array_mut().into_iter().flatten();
        let entry = clusters
            .into_iter()
            .find(|entry| entry["name"] == json!(self.name));
        let entry = entry.with_context(|| format!("no cluster {} in the kubeconfig", self.name))?;
        entry["cluster"] = json!({
            "server": self.address,
            "certificate-authority-data": STANDARD.encode(&self.ca),
        });
        fs::write(&copy, serde_json::to_string_pretty(&config)?)?;
        Ok(copy)
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the request to the journal and decides what to do with it.
    fn arrival(self: &Arc<Self>, verb: Verb, method: &str, uri: &str) -> Visit {
        let mut state = self.state();
        let due = |fault: &mut rule::Armed| fault.due(verb, method, uri);
        let done = state.faults.iter_mut().find_map(due);
        state.in_flight += 1;
        let entry = Entry {
            verb,
            method: method.into(),
            uri: uri.into(),
            done: done.clone(),
            at: Instant::now(),
            in_flight: state.in_flight,
            code: None,
        };
        state.journal.push(entry);
        Visit {
            shared: self.clone(),
            index: state.journal.len() - 1,
            action: done,
        }
    }
}

impl Visit {
    fn answered(&self, code: u16) {
        self.shared.state().journal[self.index].code = Some(code);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.state().in_flight -= 1;
    }
}
