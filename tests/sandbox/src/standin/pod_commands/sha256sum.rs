//! `sha256sum FILE…`, of the files in the volumes of the container.
//!
//! What it cannot show: files of the image.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{MOUNTS, on_this_machine};

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
