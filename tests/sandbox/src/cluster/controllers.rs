//! The controllers of a cluster, started by us and later than kwokctl would.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::Cluster;
use super::config::CONTROLLER_MANAGER;

impl Cluster {
    /// To be called when the kinds of the mesh are served: the garbage collector looks for kinds
    /// only every half minute, and what a Gateway owns would stay that long after it was deleted.
    /// No test should wait for that, and no cluster that is older than a minute does.
    pub fn start_controllers(&self, program: &Path) -> Result<()> {
        let pki = self.state().join("pki");
        let port = self.addresses().port(CONTROLLER_MANAGER);
        let log = File::create(self.state().join("logs/kube-controller-manager.log"))?;
        let mut command = self.command(program);
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command.arg("--root-ca-file").arg(pki.join("ca.crt"));
        let key = "--service-account-private-key-file";
        command.arg(key).arg(pki.join("admin.key"));
        command.args(["--bind-address=127.0.0.1", "--leader-elect=false"]);
        command.arg(format!("--secure-port={port}"));
        // kwok renews the node's lease rarely, and a paused machine must not lose its node.
        command.arg("--node-monitor-grace-period=1h");
        command.current_dir(self.state()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        // tokio's, as it waits for a dropped child: killed, it would stay a zombie.
        tokio::process::Command::from(command)
            .spawn()
            .context("cannot start the controllers")?;
        Ok(())
    }
}
