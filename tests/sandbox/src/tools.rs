//! Not written yet.
use std::path::{Path, PathBuf};

/// Paths of every program and chart the sandbox starts.
#[derive(Clone, Debug)]
pub struct Tools {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kube_scheduler: PathBuf,
    pub kwok: PathBuf,
    pub kwokctl: PathBuf,
    pub prometheus: PathBuf,
    pub pilot_discovery: PathBuf,
    pub helm: PathBuf,
    /// Folder with the Gateway API CRDs.
    pub gateway_api_crds: PathBuf,
    /// Folder `manifests/charts` of Istio.
    pub istio_charts: PathBuf,
}

impl Tools {
    pub fn ensure(_target: &Path, _say: impl FnMut(&str)) -> anyhow::Result<Tools> {
        todo!()
    }
}
