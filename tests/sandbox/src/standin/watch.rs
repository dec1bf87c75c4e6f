//! Watches that outlive an API server's restart: a sandbox whose stand-ins stop after the first
//! error would fail tests for the wrong reason.

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

/// The default back-off grows to half a minute, far too long for a kind whose CRD comes later.
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

/// Every event, for ever; errors are slept over.
pub fn events<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = watcher::Event<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config)
        .backoff(Steady)
        .filter_map(|event| std::future::ready(event.ok()))
}

/// A local copy of a kind, kept up to date as long as this is held.
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
    /// `changed` is notified after each change.
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
}
