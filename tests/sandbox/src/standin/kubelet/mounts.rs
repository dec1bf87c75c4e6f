//! The volume mounts of a container.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};

/// A folder or file in the container, and its path on this machine.
pub struct Mount {
    pub at: PathBuf,
    pub host: PathBuf,
}

/// Returns the mounts of a container. A file of a `subPath` is copied only once, because the kubelet never updates it.
pub fn of(pod: &Pod, container: &Container, dir: &Path) -> io::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let volume = folder(dir, &mount.name);
        let host = match mount.sub_path.as_deref().unwrap_or_default() {
            "" => volume,
            path => {
                let source = volume.join(path);
                if source.is_file() && !scratch(pod, &mount.name) {
                    let copy = dir.join(format!("subpath-{index}"));
                    fs::copy(&source, &copy)?;
                    copy
                } else {
                    fs::create_dir_all(&source)?;
                    source
                }
            }
        };
        mounts.push(Mount {
            at: PathBuf::from(&mount.mount_path),
            host,
        });
    }
    Ok(mounts)
}

pub fn folder(dir: &Path, volume: &str) -> PathBuf {
    dir.join("volumes").join(volume)
}

fn scratch(pod: &Pod, volume: &str) -> bool {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .into_iter()
        .any(|v| v.name == volume && v.empty_dir.is_some())
}
