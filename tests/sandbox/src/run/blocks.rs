//! Blocks of loopback addresses and ports. The locks are the machine's, not the checkout's: two
//! checkouts run their tests at the same time.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cluster::Addresses;

/// Nobody else on this machine has this block as long as the value lives.
pub struct Block {
    pub addresses: Addresses,
    _lock: File,
}

impl Block {
    pub fn take() -> Result<Block> {
        let folder = folder()?;
        for block in 10..=120 {
            let path = folder.join(format!("{block}.lock"));
            // Another user's lock file that we may not open: not ours to take.
            let Ok(lock) = File::options().create(true).append(true).open(&path) else {
                continue;
            };
            let addresses = Addresses { block };
            // The port too: a killed owner's lock is free before its servers are dead.
            if lock.try_lock().is_ok() && port_is_free(addresses) {
                let _ = fs::set_permissions(&path, Permissions::from_mode(0o666));
                return Ok(Block {
                    addresses,
                    _lock: lock,
                });
            }
        }
        anyhow::bail!("all address blocks are taken: see {}", folder.display())
    }
}

fn folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join("ambikiali-sandbox-blocks");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Fails for all but the user who made it, and then it is done already.
    let _ = fs::set_permissions(&folder, Permissions::from_mode(0o1777));
    Ok(folder)
}

fn port_is_free(addresses: Addresses) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, addresses.port(0))).is_ok()
}
