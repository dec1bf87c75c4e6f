//! The volumes of a pod as folders on this machine. They contain the objects that the installer wrote, and are updated
//! for as long as the pod exists.
//!
//! What it cannot show: read-only mounts, file modes, host paths (each is an empty folder).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::TokenRequestSpec;
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret,
    ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use kube::api::GetParams;
use kube::runtime::watcher::Config;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::files::{Files, sync};
use super::mounts::folder;
use crate::Cluster;
use crate::standin::storage;
use crate::standin::watch::Mirror;

/// The age at which the kubelet renews a token.
const RENEWED: Duration = Duration::from_secs(48 * 60);

/// Copies of all ConfigMaps and Secrets of a cluster, so that pods need not ask for them again and again.
pub struct Copies {
    config_maps: Mirror<ConfigMap>,
    secrets: Mirror<Secret>,
}

impl Copies {
    pub fn start(cluster: &Cluster) -> Copies {
        let changed = Arc::new(Notify::new());
        let (client, any) = (cluster.client(), Config::default());
        let config_maps = Api::all(client.clone());
        Copies {
            config_maps: Mirror::start(config_maps, any.clone(), (), changed.clone()),
            secrets: Mirror::start(Api::all(client), any, (), changed),
        }
    }

    /// Waits until everything is copied.
    pub async fn are_whole(&self) {
        self.config_maps.is_whole().await;
        self.secrets.is_whole().await;
    }
}

/// Writes every volume below `dir`, with what the copies have, or with what the server answers. The error is the one
/// that a kubelet shows while it waits.
pub async fn write(
    cluster: &Cluster,
    pod: &Pod,
    dir: &Path,
    copies: Option<&Copies>,
) -> Result<(), String> {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    for volume in volumes {
        let written = write_one(cluster, pod, volume, dir, copies).await;
        written.map_err(|why| {
            format!(
                "MountVolume.SetUp failed for volume \"{}\" : {why}",
                volume.name
            )
        })?;
    }
    Ok(())
}

async fn write_one(
    cluster: &Cluster,
    pod: &Pod,
    volume: &Volume,
    dir: &Path,
    copies: Option<&Copies>,
) -> Result<(), String> {
    let folder = folder(dir, &volume.name);
    if let Some(claim) = &volume.persistent_volume_claim {
        return mount(cluster, pod, &claim.claim_name, &folder).await;
    }
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let source = Source {
        cluster,
        pod,
        folder: &folder,
        copies,
    };
    let files = if let Some(v) = &volume.config_map {
        source
            .config_map(&v.name, v.items.as_deref(), v.optional)
            .await?
    } else if let Some(v) = &volume.secret {
        let name = v.secret_name.as_deref().unwrap_or_default();
        source.secret(name, v.items.as_deref(), v.optional).await?
    } else if let Some(v) = &volume.projected {
        source.projected(v).await?
    } else if let Some(v) = &volume.downward_api {
        source.downward(v.items.as_deref())
    } else {
        return Ok(());
    };
    sync(&folder, &files).map_err(|e| e.to_string())
}

/// The volume of a claim is where it is, also after the pod.
async fn mount(cluster: &Cluster, pod: &Pod, claim: &str, at: &Path) -> Result<(), String> {
    let namespace = pod.namespace().unwrap_or_default();
    let volume = storage::mounted(cluster, &namespace, claim).await;
    let volume = volume.map_err(|error| format!("{error:#}"))?;
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent).map_err(|e| e.to_string())?;
    }
    match symlink(volume, at) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.to_string()),
        _ => Ok(()),
    }
}

struct Source<'a> {
    cluster: &'a Cluster,
    pod: &'a Pod,
    folder: &'a Path,
    copies: Option<&'a Copies>,
}

impl Source<'_> {
    fn namespace(&self) -> String {
        self.pod.namespace().unwrap_or_default()
    }

    /// Reads a copy, or from the API server's cache, as a kubelet does for a new pod.
    async fn get<K>(&self, copies: Option<&Mirror<K>>, name: &str) -> Result<Option<K>, String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let namespace = self.namespace();
        if let Some(copies) = copies {
            let copy = copies.named(&namespace, name);
            return Ok(copy.map(Arc::unwrap_or_clone));
        }
        let api = Api::<K>::namespaced(self.cluster.client(), &namespace);
        match api.get_with(name, &GetParams::any()).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn config_map(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<Files, String> {
        let copies = self.copies.map(|copies| &copies.config_maps);
        let Some(object) = self.get(copies, name).await? else {
            return absent("configmap", name, optional);
        };
        let text = object.data.unwrap_or_default().into_iter();
        let bytes = object.binary_data.unwrap_or_default().into_iter();
        let files = text
            .map(|(key, value)| (key, value.into_bytes()))
            .chain(bytes.map(|(key, value)| (key, value.0)))
            .collect();
        select(files, items, optional)
    }

    async fn secret(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<Files, String> {
        let copies = self.copies.map(|copies| &copies.secrets);
        let Some(object) = self.get(copies, name).await? else {
            return absent("secret", name, optional);
        };
        let data = object.data.unwrap_or_default().into_iter();
        select(
            data.map(|(key, value)| (key, value.0)).collect(),
            items,
            optional,
        )
    }

    async fn projected(&self, volume: &ProjectedVolumeSource) -> Result<Files, String> {
        let mut files = Files::new();
        for projection in volume.sources.iter().flatten() {
            files.append(&mut self.projection(projection).await?);
        }
        Ok(files)
    }

    async fn projection(&self, from: &VolumeProjection) -> Result<Files, String> {
        if let Some(v) = &from.config_map {
            self.config_map(&v.name, v.items.as_deref(), v.optional)
                .await
        } else if let Some(v) = &from.secret {
            self.secret(&v.name, v.items.as_deref(), v.optional).await
        } else if let Some(v) = &from.downward_api {
            Ok(self.downward(v.items.as_deref()))
        } else if let Some(v) = &from.service_account_token {
            let token = self.token(v).await?;
            Ok(Files::from([(v.path.clone(), token)]))
        } else {
            Ok(Files::new())
        }
    }

    /// Returns the token, which is renewed in time as by a kubelet. A new token at each update would hide that a
    /// program still uses a revoked one.
    async fn token(&self, from: &ServiceAccountTokenProjection) -> Result<Vec<u8>, String> {
        let file = self.folder.join(&from.path);
        let age = fs::metadata(&file).and_then(|file| file.modified());
        let young = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < RENEWED));
        if young && let Ok(token) = fs::read(&file) {
            return Ok(token);
        }
        let spec = self.pod.spec.as_ref();
        let account = spec.and_then(|s| s.service_account_name.as_deref());
        let wanted = TokenRequestSpec {
            audiences: from.audience.clone().map(|audience| vec![audience]),
            expiration_seconds: from.expiration_seconds.or(Some(3607)),
            ..TokenRequestSpec::default()
        };
        let token = self
            .cluster
            .token_as(&self.namespace(), account.unwrap_or("default"), wanted)
            .await
            .map_err(|error| format!("failed to fetch token: {error:#}"))?;
        Ok(token.into_bytes())
    }

    fn downward(&self, items: Option<&[DownwardAPIVolumeFile]>) -> Files {
        let value =
            |item: &DownwardAPIVolumeFile| match item.field_ref.as_ref()?.field_path.as_str() {
                "metadata.name" => self.pod.metadata.name.clone(),
                "metadata.namespace" => self.pod.metadata.namespace.clone(),
                "metadata.uid" => self.pod.metadata.uid.clone(),
                "metadata.labels" => Some(lines(self.pod.labels())),
                "metadata.annotations" => Some(lines(self.pod.annotations())),
                _ => None,
            };
        let items = items.into_iter().flatten();
        items
            .filter_map(|item| Some((item.path.clone(), value(item)?.into_bytes())))
            .collect()
    }
}

fn lines(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(k, v)| format!("{k}={v:?}\n")).collect()
}

fn absent(kind: &str, name: &str, optional: Option<bool>) -> Result<Files, String> {
    match optional {
        Some(true) => Ok(Files::new()),
        _ => Err(format!("{kind} \"{name}\" not found")),
    }
}

fn select(
    mut files: Files,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
) -> Result<Files, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(files);
    };
    let mut selected = Files::new();
    for item in items {
        match files.remove(&item.key) {
            Some(content) => selected.insert(item.path.clone(), content),
            None if optional == Some(true) => continue,
            None => return Err(format!("references non-existent config key: {}", item.key)),
        };
    }
    Ok(selected)
}
