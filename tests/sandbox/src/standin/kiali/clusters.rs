//! The clusters that a Kiali knows, and what it still reports about one that stopped answering.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Error, ResourceExt};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::forward::owner;
use super::istiod::Istiod;
use crate::standin::container::Container;

pub(super) struct Clusters {
    pub(super) home: Cluster,
    pub(super) remotes: Vec<Cluster>,
}

pub(super) struct Cluster {
    /// The key of its kubeconfig in the Secret.
    pub(super) key: String,
    /// Its name in Kiali's caches. A cluster whose name differs from the key is only half known.
    name: String,
    /// Empty for home.
    pub(super) secret: String,
    pub(super) server: String,
    pub(super) client: Client,
    /// The sandbox's own client for the same cluster.
    owner: OnceCell<Client>,
    /// Set after a 403. The caches are gone until a restart.
    torn: AtomicBool,
    namespaces: Seen<Vec<Namespace>>,
    pub(super) istiods: Seen<Vec<Istiod>>,
    ambient: Seen<bool>,
}

/// The last answer with its time.
pub(super) struct Seen<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Seen<T> {
    fn new() -> Seen<T> {
        Seen(Mutex::new(None))
    }

    pub(super) fn set(&self, value: &T) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = Some((Instant::now(), value.clone()));
    }

    pub(super) fn younger_than(&self, age: Duration) -> Option<T> {
        let seen = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let seen = seen.as_ref().filter(|(at, _)| at.elapsed() < age);
        seen.map(|(_, value)| value.clone())
    }

    pub(super) fn last(&self) -> Option<T> {
        self.younger_than(Duration::MAX)
    }
}

/// How long Kiali serves cached facts about a cluster.
pub(super) const CACHED: Duration = Duration::from_secs(20);

impl Clusters {
    pub(super) fn all(&self) -> impl Iterator<Item = &Cluster> {
        std::iter::once(&self.home).chain(&self.remotes)
    }

    /// Returns the namespaces of all clusters that answer. Fails only if home does not answer.
    pub(super) async fn namespaces(
        &self,
        mut log: impl FnMut(String),
    ) -> Result<Vec<(&Cluster, Namespace)>, String> {
        let asked = join_all(self.all().map(|c| async move { (c, c.namespaces().await) })).await;
        let mut all = Vec::new();
        for (cluster, answer) in asked {
            match answer {
                Ok(namespaces) => all.extend(namespaces.into_iter().map(|n| (cluster, n))),
                Err(why) if cluster.secret.is_empty() => return Err(why),
                Err(why) => log(format!(
                    "ERR Error fetching Namespaces for cluster [{}]: {why}",
                    cluster.key
                )),
            }
        }
        all.retain(|(_, n)| !n.name_any().starts_with("kube-"));
        Ok(all)
    }
}

impl Cluster {
    pub(super) fn new(
        key: String,
        name: String,
        secret: String,
        server: String,
        client: Client,
    ) -> Cluster {
        Cluster {
            key,
            name,
            secret,
            server,
            client,
            owner: OnceCell::new(),
            torn: AtomicBool::new(false),
            namespaces: Seen::new(),
            istiods: Seen::new(),
            ambient: Seen::new(),
        }
    }

    pub(super) fn discovered(&self, home: bool) -> String {
        format!(
            "INF Discovered cluster: Name=[{}], Accessible=[true], IsKialiHome=[{home}], ApiEndpoint=[{}], \
             SecretName=[{}]",
            self.key, self.server, self.secret
        )
    }

    pub(super) fn is_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed)
    }

    pub(super) fn cache(&self) -> Result<(), String> {
        match self.key == self.name {
            true => Ok(()),
            false => Err(format!("cache for cluster [{}] not found", self.key)),
        }
    }

    /// Returns the text of an error. A 403 also removes the caches.
    pub(super) fn failed(&self, error: Error) -> String {
        match error {
            Error::Api(status) => {
                if status.code == 403 {
                    self.torn.store(true, Ordering::Relaxed);
                }
                status.message
            }
            other => format!("Get \"{}\": {other}", self.server),
        }
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>, String> {
        self.cache()?;
        if self.is_torn() {
            return Err("forbidden".into());
        }
        let api: Api<Namespace> = Api::all(self.client.clone());
        match api.list(&ListParams::default()).await {
            Ok(list) => {
                self.namespaces.set(&list.items);
                Ok(list.items)
            }
            Err(why) => {
                let why = self.failed(why);
                let cached = self
                    .namespaces
                    .younger_than(CACHED)
                    .filter(|_| !self.is_torn());
                cached.ok_or(why)
            }
        }
    }

    pub(super) async fn owner(&self, container: &Container) -> Option<&Client> {
        let found = async || owner(container, &self.client).await.ok_or(());
        self.owner.get_or_try_init(found).await.ok()
    }

    /// Returns None if the cluster does not answer. Waits 55 s for one that hangs.
    pub(super) async fn version(&self) -> Option<String> {
        let asked = timeout(Duration::from_secs(55), self.client.apiserver_version()).await;
        asked.ok()?.ok().map(|info| info.git_version)
    }

    /// Looks for the label on ztunnel's DaemonSet itself. The result is cached for ten minutes.
    pub(super) async fn ambient(&self) -> bool {
        let remembered = self.ambient.younger_than(Duration::from_secs(600));
        if let Some(ambient) = remembered.or_else(|| self.is_torn().then_some(false)) {
            return ambient;
        }
        let api: Api<DaemonSet> = Api::all(self.client.clone());
        let ztunnels = ListParams::default().labels("app.kubernetes.io/name=ztunnel");
        let Ok(found) = api.list(&ztunnels).await else {
            return false;
        };
        let ambient = !found.items.is_empty();
        self.ambient.set(&ambient);
        ambient
    }
}

/// Returns `CLUSTER_ID` of an istiod, if its first container has it as a literal value.
pub(super) fn cluster_id(istiod: &Deployment) -> Option<String> {
    let pod = istiod.spec.template.spec.as_ref()?;
    let env = pod.containers.first()?.env.as_ref()?;
    env.iter().find(|e| e.name == "CLUSTER_ID")?.value.clone()
}
