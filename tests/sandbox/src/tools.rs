//! The real programs that the sandbox starts. They are built from their published Go modules on first use, because
//! there may be no container engine to pull them, and stand-ins for an API server, istiod or Envoy would only confirm
//! our assumptions. Each upstream has a module of its own in `tools/`, because they pin different versions of k8s.io.
//! The build takes about ten minutes once.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use modules::MODULES;
use store::{Source, Store};

mod go;
mod modules;
mod store;
mod wheel;

/// The variable with a folder of ready programs. If it is set, nothing is built.
const READY: &str = "AMBIKIALI_SANDBOX_BIN";

/// The paths of all programs and charts that the sandbox uses.
#[derive(Clone, Debug)]
pub struct Tools {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kube_scheduler: PathBuf,
    /// Tests compare with it how our binary reads kubeconfigs.
    pub kubectl: PathBuf,
    pub kwok: PathBuf,
    pub kwokctl: PathBuf,
    pub prometheus: PathBuf,
    /// Asks a Prometheus, in the image of Prometheus.
    pub promtool: PathBuf,
    pub pilot_discovery: PathBuf,
    pub envoy: PathBuf,
    pub helm: PathBuf,
    /// An OpenID Connect provider.
    pub oidc_provider: PathBuf,
    /// A store for metrics.
    pub victoria_metrics: PathBuf,
    /// The folder with the YAML files of the Gateway API's CRDs (standard channel).
    pub gateway_api_crds: PathBuf,
    /// The same of version 1.4.
    pub old_gateway_api_crds: PathBuf,
    /// The folder `manifests/charts` of the Istio module.
    pub istio_charts: PathBuf,
}

impl Tools {
    /// Builds missing programs into `<target>/sandbox/bin`, or uses those in the folder `AMBIKIALI_SANDBOX_BIN`. Blocks
    /// for minutes the first time. Passes a line for each build to `say`.
    pub fn ensure(target: &Path, mut say: impl FnMut(&str)) -> Result<Tools> {
        let ready = std::env::var_os(READY).filter(|folder| !folder.is_empty());
        // The programs start in other folders, so the path must be absolute.
        let ready = ready.map(std::path::absolute).transpose()?;
        if let Some(folder) = &ready {
            check_ready(folder)?;
        }
        let store = Store {
            home: std::path::absolute(target)?.join("sandbox"),
            ready,
        };
        if !store.missing()?.is_empty() {
            let _lock = store.lock(&mut say)?;
            // Check again, because another process may have built everything in the meantime.
            let missing = store.missing()?;
            check_toolchains(&missing)?;
            for (source, name) in missing {
                store.make(source, name, &mut say)?;
            }
        }
        Tools::of(&store)
    }

    fn of(store: &Store) -> Result<Tools> {
        Ok(Tools {
            etcd: store.path("etcd")?,
            kube_apiserver: store.path("kube-apiserver")?,
            kube_controller_manager: store.path("kube-controller-manager")?,
            kube_scheduler: store.path("kube-scheduler")?,
            kubectl: store.path("kubectl")?,
            kwok: store.path("kwok")?,
            kwokctl: store.path("kwokctl")?,
            prometheus: store.path("prometheus")?,
            promtool: store.path("promtool")?,
            pilot_discovery: store.path("pilot-discovery")?,
            envoy: store.path(wheel::NAME)?,
            helm: store.path("helm")?,
            oidc_provider: store.path("oidc-provider")?,
            victoria_metrics: store.path("victoria-metrics")?,
            gateway_api_crds: store.path("gateway-api-crds")?,
            old_gateway_api_crds: store.path("gateway-api-1.4-crds")?,
            istio_charts: store.path("istio-charts")?,
        })
    }
}

/// Checks the toolchains before the first build, which takes minutes.
fn check_toolchains(missing: &[(Source, &str)]) -> Result<()> {
    let modules = missing.iter().filter_map(|(source, _)| match source {
        Source::Module(module) => Some(*module),
        Source::Wheel => None,
    });
    let modules: Vec<_> = modules.collect();
    if !modules.is_empty() {
        go::check(modules.iter().copied())?;
    }
    match modules.len() < missing.len() {
        true => wheel::check(),
        false => Ok(()),
    }
}

/// Checks that the folder has every program. Envoy and the files that are only read are fetched otherwise.
fn check_ready(folder: &Path) -> Result<()> {
    let programs = MODULES.iter().flat_map(|module| module.programs);
    let missing: Vec<_> = programs
        .map(|p| p.0)
        .filter(|name| !folder.join(name).is_file())
        .collect();
    let lacks = missing.join(", ");
    ensure!(
        missing.is_empty(),
        "{READY} names {}, which has no {lacks}",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    pub(super) fn scratch(name: &str) -> Result<PathBuf> {
        let folder = std::env::temp_dir().join(format!("tools-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    #[test]
    fn a_ready_folder_must_have_every_program() -> Result<()> {
        let folder = scratch("ready")?;
        for name in MODULES
            .iter()
            .flat_map(|module| module.programs)
            .map(|program| program.0)
        {
            fs::write(folder.join(name), "")?;
        }
        check_ready(&folder)?;
        fs::remove_file(folder.join("helm"))?;
        let error = check_ready(&folder).unwrap_err().to_string();
        assert!(error.ends_with("which has no helm"), "{error}");
        Ok(fs::remove_dir_all(folder)?)
    }
}
