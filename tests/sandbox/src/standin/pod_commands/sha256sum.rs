//! `sha256sum FILE…`, of the files in the volumes of the container.
//!
//! What it cannot show: files of the image.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::MOUNTS;

pub fn run(args: &[String]) -> u8 {
    let mounts = std::env::var(MOUNTS).unwrap_or_default();
    let mut code = 0;
    for arg in args {
        match fs::read(on_this_machine(&mounts, Path::new(arg))) {
            Ok(bytes) => {
                let digest = Sha256::digest(bytes);
                let digest = digest.iter().map(|byte| format!("{byte:02x}"));
                println!("{}  {arg}", digest.collect::<String>());
            }
            Err(_) => {
                eprintln!("sha256sum: can't open '{arg}': No such file or directory");
                code = 1;
            }
        }
    }
    code
}

/// The path of a file in a volume; one that does not exist for any other.
fn on_this_machine(mounts: &str, file: &Path) -> PathBuf {
    let found = mounts.lines().find_map(|mount| {
        let (at, host) = mount.split_once('=')?;
        Some(Path::new(host).join(file.strip_prefix(at).ok()?))
    });
    found.unwrap_or_default()
}
