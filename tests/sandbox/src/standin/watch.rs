//! Watches that survive a restart of the API server. Otherwise stand-ins would stop after the first error, and tests
//! would fail for the wrong reason.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{self, Store, store::Writer};
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// A constant backoff. The default grows to 30 s, which is far too long for a kind whose CRD is created later.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;
    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(300))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

/// Returns all events, forever. Retries after errors.
pub fn events<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = watcher::Event<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config)
        .backoff(Steady)
        .filter_map(|event| std::future::ready(event.ok()))
}

/// A local copy of all objects of a kind. Kept up to date while it is held.
pub struct Mirror<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    store: Store<K>,
    _task: AbortOnDropHandle<()>,
}

impl<K> Mirror<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Hash + Eq + Clone + Send + Sync,
{
    /// Starts the copy and notifies `changed` after every change.
    pub fn start(
        api: Api<K>,
        config: watcher::Config,
        kind: K::DynamicType,
        changed: Arc<Notify>,
    ) -> Self {
        let writer = Writer::new(kind);
        let store = writer.as_reader();
        let stream = reflector::reflector(writer, watcher(api, config).backoff(Steady));
        let task = tokio::spawn(stream.for_each(move |_| {
            changed.notify_one();
            std::future::ready(())
        }));
        Mirror {
            store,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    pub fn named(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let is_it = |object: &K| {
            let meta = object.meta();
            meta.name.as_deref() == Some(name) && meta.namespace.as_deref() == Some(namespace)
        };
        self.store.find(is_it)
    }

    /// Waits for the first whole copy.
    pub async fn is_whole(&self) {
        // It fails only without the task that copies.
        let _ = self.store.wait_until_ready().await;
    }
}
