//! Blocks of loopback addresses and ports. The locks are per machine and not per checkout, because two checkouts may
//! run their tests at the same time.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cluster::Addresses;

/// A block that nobody else on this machine uses while the value lives.
pub struct Block {
    pub addresses: Addresses,
    _lock: File,
}

impl Block {
    pub fn take() -> Result<Block> {
        let folder = folder()?;
        for block in 10..=120 {
            let path = folder.join(format!("{block}.lock"));
            // The lock file belongs to another user and cannot be opened.
            let Ok(lock) = File::options().create(true).append(true).open(&path) else {
                continue;
            };
            let addresses = Addresses { block };
            // The port is checked too: the lock of a killed owner is free before its servers are dead.
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
    // Fails for users who did not create the folder. Its creator has already done it.
    let _ = fs::set_permissions(&folder, Permissions::from_mode(0o1777));
    Ok(folder)
}

fn port_is_free(addresses: Addresses) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, addresses.port(0))).is_ok()
}
