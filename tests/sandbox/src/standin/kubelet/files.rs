//! The files of a volume. Like the kubelet, this replaces each file atomically, because a process may be reading it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path};

/// The files by their path in the volume.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Makes the folder contain exactly these files. Each file is replaced atomically.
pub fn sync(folder: &Path, files: &Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let inside = format!("{name}/");
        let kept = |path: &String| *path == name || path.starts_with(&inside);
        if !files.keys().any(kept) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    for (path, content) in files {
        // Stays inside the folder: a key cannot contain `..`, and the API server validates the paths of items.
        if Path::new(path)
            .components()
            .any(|c| !matches!(c, Component::Normal(_)))
        {
            continue;
        }
        let target = folder.join(path);
        if fs::read(&target).is_ok_and(|old| old == *content) {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let fresh = target.with_extension("sandbox-new");
        fs::write(&fresh, content)?;
        fs::rename(&fresh, &target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_follows_its_object() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("sandbox-files-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let files = |of: &[(&str, &str)]| -> Files {
            of.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).into()))
                .collect()
        };
        sync(
            &folder,
            &files(&[("a", "1"), ("sub/b", "2"), ("../c", "3")]),
        )?;
        sync(&folder, &files(&[("sub/b", "4")]))?;
        assert!(!folder.join("a").exists());
        assert!(!folder.with_file_name("c").exists());
        assert_eq!(fs::read_to_string(folder.join("sub/b"))?, "4");
        fs::remove_dir_all(folder)
    }
}
