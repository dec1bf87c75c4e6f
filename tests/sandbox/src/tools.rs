//! The real programs the sandbox starts, built from their published Go modules on first use:
//! a bare machine has no container engine to pull them with, and stand-ins for an API server or
//! istiod would only prove what we already believe. One module per upstream in `tools/`, because
//! they pin different k8s.io versions. About ten minutes once, then milliseconds.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use modules::{MODULES, Module};

mod go;
mod modules;

/// Names a folder of ready programs; nothing is built then.
const READY: &str = "AMBIKIALI_SANDBOX_BIN";

/// Paths of every program and chart the sandbox starts.
#[derive(Clone, Debug)]
pub struct Tools {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kube_scheduler: PathBuf,
    /// What the binary's reading of kubeconfigs is measured by.
    pub kubectl: PathBuf,
    pub kwok: PathBuf,
    pub kwokctl: PathBuf,
    pub prometheus: PathBuf,
    pub pilot_discovery: PathBuf,
    pub helm: PathBuf,
    /// Folder with the YAML files of the Gateway API CRDs (standard channel).
    pub gateway_api_crds: PathBuf,
    /// Folder `manifests/charts` of the Istio module.
    pub istio_charts: PathBuf,
}

impl Tools {
    /// Builds what is missing into `<target>/sandbox/bin`, or takes ready programs from the folder
    /// named by `AMBIKIALI_SANDBOX_BIN`. Blocks for minutes the first time; `say` gets a line for
    /// each build.
    pub fn ensure(target: &Path, mut say: impl FnMut(&str)) -> Result<Tools> {
        let ready = std::env::var_os(READY).filter(|folder| !folder.is_empty());
        // Absolute: the programs are started in folders of their own.
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
            // Once more: another process may have built everything while this one waited.
            let missing = store.missing()?;
            go::check(missing.iter().map(|(module, _)| *module))?;
            for (module, name) in missing {
                store.make(module, name, &mut say)?;
            }
        }
        store.tools()
    }
}

/// What was made, each with a stamp of the recipe that made it.
struct Store {
    home: PathBuf,
    ready: Option<PathBuf>,
}

impl Store {
    fn stamp(&self, name: &str) -> PathBuf {
        self.home.join("stamps").join(name)
    }

    /// Where it is, if it is there and was made by today's recipe.
    fn path(&self, module: &Module, name: &str) -> Result<Option<PathBuf>> {
        let ready = self
            .ready
            .as_ref()
            .map(|folder| folder.join(name))
            .filter(|path| path.exists());
        if ready.is_some() {
            return Ok(ready);
        }
        let stamp = fs::read_to_string(self.stamp(name)).unwrap_or_default();
        let Some((path, recipe)) = stamp.split_once('\n') else {
            return Ok(None);
        };
        // The path too: the module cache may have been cleaned.
        let valid = recipe == module.recipe()? && Path::new(path).exists();
        Ok(valid.then(|| path.into()))
    }

    fn remember(&self, module: &Module, name: &str, path: &Path) -> Result<()> {
        let stamp = self.stamp(name);
        fs::create_dir_all(self.home.join("stamps"))?;
        let new = stamp.with_extension("new");
        fs::write(&new, format!("{}\n{}", path.display(), module.recipe()?))?;
        fs::rename(&new, &stamp).with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn missing(&self) -> Result<Vec<(&'static Module, &'static str)>> {
        let mut missing = Vec::new();
        for module in &MODULES {
            for name in module.names() {
                if self.path(module, name)?.is_none() {
                    missing.push((module, name));
                }
            }
        }
        Ok(missing)
    }

    fn tools(&self) -> Result<Tools> {
        let path = |name: &str| {
            let module = MODULES
                .iter()
                .find(|module| module.names().any(|n| n == name));
            let path = module
                .map(|module| self.path(module, name))
                .transpose()?
                .flatten();
            path.with_context(|| format!("{name} vanished right after it was made"))
        };
        Ok(Tools {
            etcd: path("etcd")?,
            kube_apiserver: path("kube-apiserver")?,
            kube_controller_manager: path("kube-controller-manager")?,
            kube_scheduler: path("kube-scheduler")?,
            kubectl: path("kubectl")?,
            kwok: path("kwok")?,
            kwokctl: path("kwokctl")?,
            prometheus: path("prometheus")?,
            pilot_discovery: path("pilot-discovery")?,
            helm: path("helm")?,
            gateway_api_crds: path("gateway-api-crds")?,
            istio_charts: path("istio-charts")?,
        })
    }

    /// Two processes never build at once; the system frees the lock of a killed one.
    fn lock(&self, say: &mut impl FnMut(&str)) -> Result<File> {
        fs::create_dir_all(&self.home)
            .with_context(|| format!("cannot create {}", self.home.display()))?;
        let file = File::create(self.home.join("lock"))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => say("waiting: another process builds the programs"),
            Err(TryLockError::Error(err)) => return Err(err).context("cannot lock the programs"),
        }
        file.lock()?;
        Ok(file)
    }

    fn make(&self, module: &Module, name: &str, say: &mut impl FnMut(&str)) -> Result<()> {
        let version = module.version()?;
        let path = match module.programs.iter().find(|program| program.0 == name) {
            Some((_, package, seconds)) => {
                say(&format!("building {name} {version} (about {seconds} s)"));
                go::build(module, name, package, &self.home.join("bin"))?
            }
            None => {
                say(&format!("fetching {name} {version}"));
                go::fetch(module)?
            }
        };
        self.remember(module, name, &path)
    }
}

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
    use super::*;

    fn scratch(name: &str) -> Result<PathBuf> {
        let folder = std::env::temp_dir().join(format!("tools-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    #[test]
    fn a_stamp_of_another_recipe_means_build_again() -> Result<()> {
        let store = Store {
            home: scratch("stamp")?,
            ready: None,
        };
        let (module, program) = (&MODULES[0], store.home.join("kube-apiserver"));
        assert_eq!(store.path(module, "kube-apiserver")?, None);

        store.remember(module, "kube-apiserver", &program)?;
        assert_eq!(
            store.path(module, "kube-apiserver")?,
            None,
            "stamped, but not there"
        );
        fs::write(&program, "")?;
        assert_eq!(store.path(module, "kube-apiserver")?, Some(program.clone()));

        fs::write(
            store.stamp("kube-apiserver"),
            format!("{}\nolder go.sum", program.display()),
        )?;
        assert_eq!(store.path(module, "kube-apiserver")?, None);
        Ok(fs::remove_dir_all(store.home)?)
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
