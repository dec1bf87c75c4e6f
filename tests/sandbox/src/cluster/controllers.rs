//! The controllers of a cluster, started by us and later than kwokctl would, kept running (they end
//! when the API server is not healthy within ten seconds), and started again without one of them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::Cluster;
use super::config::CONTROLLER_MANAGER;

impl Cluster {
    /// To be called when the kinds of the mesh are served: the garbage collector looks for kinds
    /// only every half minute, and what a Gateway owns would stay that long after it was deleted.
    /// No test should wait for that, and no cluster that is older than a minute does.
    pub fn start_controllers(&self, program: &Path) -> Result<()> {
        self.run_controllers(program, true)
    }

    /// Ends the controllers and starts them again, all or all but the one that fills the Secrets of
    /// tokens: it only starts when it is given the key, and `--controllers` cannot leave it out.
    pub fn restart_controllers(&self, filling_tokens: bool) -> Result<()> {
        self.let_go(&self.controllers());
        let pid = fs::read_to_string(self.controllers())?.trim().parse()?;
        let pid = Pid::from_raw(pid).context("no process has the number 0")?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).context("no controllers run")?;
        kill_process(pid, Signal::KILL)?;
        // A moment later its port is free; new ones would not start before.
        let deadline = Instant::now() + Duration::from_secs(10);
        let address = (
            Ipv4Addr::LOCALHOST,
            self.addresses().port(CONTROLLER_MANAGER),
        );
        while TcpListener::bind(address).is_err() {
            ensure!(Instant::now() < deadline, "the controllers do not die");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.run_controllers(&program, filling_tokens)
    }

    fn run_controllers(&self, program: &Path, filling_tokens: bool) -> Result<()> {
        let pki = self.state().join("pki");
        let port = self.addresses().port(CONTROLLER_MANAGER);
        let log = self.state().join("logs/kube-controller-manager.log");
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = self.command(program);
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command.arg("--root-ca-file").arg(pki.join("ca.crt"));
        if filling_tokens {
            let key = "--service-account-private-key-file";
            command.arg(key).arg(pki.join("admin.key"));
        }
        command.args(["--bind-address=127.0.0.1", "--leader-elect=false"]);
        command.arg(format!("--secure-port={port}"));
        // It would write each pod's address into Endpoints, which refuse loopback ones, for ever.
        command.arg("--controllers=*,-endpoints-controller");
        // EndpointSlices refuse those addresses too. A Service has its slice, as everywhere, but what
        // its pods do is not written into it, refused, told in an event and tried again.
        command.arg("--endpointslice-updates-batch-period=24h");
        // kwok renews the node's lease rarely, and a paused machine must not lose its node.
        command.arg("--node-monitor-grace-period=1h");
        command.current_dir(self.state()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        self.keep_running(command, self.controllers())
    }

    /// The file with their process's number.
    fn controllers(&self) -> PathBuf {
        self.state().join("pids/controllers.pid")
    }
}
