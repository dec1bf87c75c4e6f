//! What the user's options decide about the objects of an install, in the form that the steps need.

use std::time::Duration;

use crate::exposure::Exposure;
use crate::history::{History, Storage};
use crate::images::Images;
use crate::login::Login;
use crate::metrics::Metrics;
use crate::own_prometheus::Accesses;
use crate::store::Store;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub images: Images,
    /// Whether Kiali may change what it shows: with its own rights, or behind a login with those of its users.
    pub allow_write: bool,
    /// Who may reach the Gateways.
    pub exposure: Exposure,
    /// Whether to write NetworkPolicies for the servers of the install.
    pub network_policies: bool,
    /// How users log in to Kiali; None for no login.
    pub login: Option<Login>,
    /// What home pulls from each cluster, and how often.
    pub metrics: Metrics,
    /// How long and where the federating Prometheus keeps its data.
    pub history: History,
    /// The user's own store for the metrics; None for a federating Prometheus.
    pub store: Option<Store>,
    /// How Prometheus servers of the user are scraped over https.
    pub own_prometheus: Accesses,
    /// How long a token for a remote is valid; None for ever.
    pub token_lifetime: Option<Duration>,
    /// Every Secret that a token for a remote may be in, and not only the first one.
    pub every_token: bool,
    /// The ConfigMap with a CA for Kiali, whether or not the store has one.
    pub every_ca: bool,
}

impl Settings {
    /// Whether Kiali's own account may write. Behind a login, users write with their own rights.
    pub fn account_writes(&self) -> bool {
        self.allow_write && self.login.is_none()
    }

    /// The same with every object that only an option adds, to find those that an earlier install made.
    pub fn with_all_objects(&self) -> Settings {
        let mut all = self.clone();
        all.network_policies = true;
        all.exposure.plain_http = false;
        all.every_token = true;
        all.every_ca = true;
        all.history.storage.get_or_insert_with(Storage::default);
        all.store = None;
        all.exposure.source_ranges = vec!["0.0.0.0/32".into()];
        // Behind a login, the Secret stays as it is unless the user gives another one.
        all.login.get_or_insert_with(|| Login {
            secret: Some("any".into()),
            ..Login::default()
        });
        all
    }
}
