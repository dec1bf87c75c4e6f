//! A provisioner of volumes, which are folders on this machine. The controller manager and the scheduler of the cluster
//! bind them, as those of any other provisioner; a pod gets the folder of its claim as its volume.
//!
//! What it cannot show: the size of a volume (nothing limits what is written into the folder), file modes and `fsGroup`,
//! access modes, volumes that only some nodes can reach, the time that attaching takes, and a file system of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::watch::Mirror;
use crate::Cluster;

/// The provisioner that a StorageClass names.
pub const PROVISIONER: &str = "sandbox.ambikiali.dev/folder";
const BY: &str = "pv.kubernetes.io/provisioned-by";
const NODE: &str = "volume.kubernetes.io/selected-node";

/// Provides volumes for the claims of the cluster. Never returns.
pub async fn run(cluster: Cluster) {
    let changed = Arc::new(Notify::new());
    let client = cluster.client();
    let all = Config::default;
    let storage = Storage {
        claims: Mirror::start(Api::all(client.clone()), all(), (), changed.clone()),
        volumes: Mirror::start(Api::all(client.clone()), all(), (), changed.clone()),
        classes: Mirror::start(Api::all(client), all(), (), changed.clone()),
        cluster,
    };
    loop {
        // Again after a while, in case a request failed.
        let _ = timeout(Duration::from_secs(1), changed.notified()).await;
        if let Err(error) = storage.look().await {
            eprintln!("{}: storage: {error:#}", storage.cluster.name());
        }
    }
}

struct Storage {
    cluster: Cluster,
    claims: Mirror<PersistentVolumeClaim>,
    volumes: Mirror<PersistentVolume>,
    classes: Mirror<StorageClass>,
}

impl Storage {
    async fn look(&self) -> Result<()> {
        for claim in self.claims.all() {
            let class = self.classes.all().into_iter().find(|class| {
                let named = claim
                    .spec
                    .as_ref()
                    .and_then(|s| s.storage_class_name.as_ref());
                class.provisioner == PROVISIONER && named == Some(&class.name_any())
            });
            if let Some(class) = class {
                self.provide(&claim, &class).await?;
                self.grow(&claim).await?;
            }
        }
        for volume in self.volumes.all() {
            self.reclaim(&volume).await?;
        }
        Ok(())
    }

    fn volumes(&self) -> Api<PersistentVolume> {
        Api::all(self.cluster.client())
    }

    /// Makes the volume of a claim: at once, or once the scheduler has chosen the node of the first pod.
    async fn provide(&self, claim: &PersistentVolumeClaim, class: &StorageClass) -> Result<()> {
        let waits = class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer");
        let is_bound = claim.spec.as_ref().is_some_and(|s| s.volume_name.is_some());
        let is_going = claim.metadata.deletion_timestamp.is_some();
        if is_bound || is_going || (waits && !claim.annotations().contains_key(NODE)) {
            return Ok(());
        }
        let name = format!("pvc-{}", claim.uid().unwrap_or_default());
        if self
            .volumes
            .all()
            .iter()
            .any(|volume| volume.name_any() == name)
        {
            return Ok(());
        }
        let folder = folder(&self.cluster, &name);
        std::fs::create_dir_all(&folder)?;
        let volume = json!({
            "metadata": {"name": name, "annotations": {BY: PROVISIONER}},
            "spec": {
                "capacity": {"storage": asked(claim)},
                "accessModes": claim.spec.as_ref().and_then(|spec| spec.access_modes.clone()),
                "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
                "storageClassName": class.name_any(),
                "hostPath": {"path": folder},
                "claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim.name_any(),
                    "namespace": claim.namespace(), "uid": claim.uid(),
                },
            },
        });
        let volume = serde_json::from_value(volume)?;
        match self.volumes().create(&PostParams::default(), &volume).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            made => Ok(made.map(drop)?),
        }
    }

    /// Gives the volume the size that the claim asks for.
    async fn grow(&self, claim: &PersistentVolumeClaim) -> Result<()> {
        let status = claim.status.as_ref();
        let has = status.and_then(|s| s.capacity.as_ref()?.get("storage").cloned());
        let volume = claim.spec.as_ref().and_then(|s| s.volume_name.as_ref());
        let (Some(has), Some(volume)) = (has, volume) else {
            return Ok(());
        };
        let asked = asked(claim);
        if asked == json!(has) {
            return Ok(());
        }
        let capacity = json!({"capacity": {"storage": asked}});
        let params = PatchParams::default();
        let larger = Patch::Merge(json!({"spec": capacity}));
        self.volumes().patch(volume, &params, &larger).await?;
        let namespace = claim.namespace().unwrap_or_default();
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.cluster.client(), &namespace);
        let told = Patch::Merge(json!({"status": capacity}));
        claims
            .patch_status(&claim.name_any(), &params, &told)
            .await?;
        Ok(())
    }

    /// Deletes the volume of a claim that is gone, with its data.
    async fn reclaim(&self, volume: &PersistentVolume) -> Result<()> {
        let phase = volume.status.as_ref().and_then(|s| s.phase.as_deref());
        let spec = volume.spec.as_ref();
        let policy = spec.and_then(|s| s.persistent_volume_reclaim_policy.as_deref());
        let is_ours = volume
            .annotations()
            .get(BY)
            .is_some_and(|by| by == PROVISIONER);
        let is_going = volume.metadata.deletion_timestamp.is_some();
        if !is_ours || is_going || phase != Some("Released") || policy != Some("Delete") {
            return Ok(());
        }
        let name = volume.name_any();
        let _ = std::fs::remove_dir_all(folder(&self.cluster, &name));
        self.volumes()
            .delete(&name, &DeleteParams::default())
            .await?;
        Ok(())
    }
}

fn asked(claim: &PersistentVolumeClaim) -> Value {
    let spec = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = spec.and_then(|resources| resources.requests.as_ref());
    json!(requests.and_then(|requests| requests.get("storage")))
}

fn folder(cluster: &Cluster, volume: &str) -> PathBuf {
    cluster.dir().join("volumes").join(volume)
}

/// The folder of a claim, for the pod that mounts it.
pub async fn mounted(cluster: &Cluster, namespace: &str, claim: &str) -> Result<PathBuf> {
    let claims = Api::<PersistentVolumeClaim>::namespaced(cluster.client(), namespace);
    let live = claims.get_with(claim, &GetParams::any()).await?;
    let volume = live.spec.and_then(|spec| spec.volume_name);
    let volume = volume.with_context(|| format!("claim {claim} has no volume: not found"))?;
    Ok(folder(cluster, &volume))
}
