//! A proxy between a program and a real API server that does what networks, load balancers and busy
//! servers do: answers in the server's place, loses answers of what was done, cuts and starves
//! streams. Faults are data, and a journal tells what became of each request.
//!
//! It ends TLS with a CA of its own and speaks HTTP/1.1, as kube does. A request with a bearer token
//! is passed on with that token alone; one without was made with the kubeconfig's client
//! certificate, which TLS does not hand on, and is made again with the cluster admin's. So it cannot
//! show client certificates that are refused. Nor can it show HTTP/2, lost or late packets below
//! TLS, or a connection that dies between two requests: it opens a new one upstream for each.

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

/// A running proxy; it ends when this is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: String,
    ca: String,
    name: String,
    _task: AbortOnDropHandle<()>,
}

/// What its connections share.
struct Shared {
    upstream: tls::Upstream,
    /// Others are passed on untouched and not in the journal: the stand-ins have no part in this.
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
    /// Path and query.
    pub uri: String,
    /// None: passed on and answered as it is.
    pub done: Option<Action>,
    pub at: Instant,
    /// How many were without the head of their answer when it came, itself included.
    pub in_flight: usize,
    /// Of its answer, by whomever; None until then.
    pub code: Option<u16>,
}

/// A request until it has the head of its answer, or nobody waits for it any more.
struct Visit {
    shared: Arc<Shared>,
    index: usize,
    action: Option<Action>,
}

impl Proxy {
    /// In front of this cluster, for the program whose user agent starts so. Passes everything on
    /// until it is given a fault.
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

    /// From now on; the first fault that matches a request and is due is done to it.
    pub fn add(&self, fault: Fault) {
        self.shared.state().faults.push(fault.armed());
    }

    /// No faults any more; the journal stays.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// All requests so far, in the order of their arrival.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.state().journal.clone()
    }

    /// Those to which something was done.
    pub fn disturbed(&self) -> Vec<Entry> {
        let mut entries = self.journal();
        entries.retain(|entry| entry.done.is_some());
        entries
    }

    /// Its own CA, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The kubeconfig again, with this cluster's server and CA replaced by the proxy's.
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

    /// What is to be done to a request; writes it down.
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
