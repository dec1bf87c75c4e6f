//! The controller manager of a cluster. The sandbox starts it, later than kwokctl would, and keeps it running: it exits
//! if the API server is not healthy within ten seconds. It can also be restarted without one of its controllers.

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
    /// Starts the controllers. Call it when the API server serves the kinds of the mesh. The garbage collector
    /// discovers kinds only every 30 s, and the objects of a deleted Gateway would stay that long. No test should wait
    /// for that, and no cluster older than a minute has the problem.
    pub fn start_controllers(&self, program: &Path) -> Result<()> {
        self.run_controllers(program, true)
    }

    /// Restarts the controllers, either all of them or all but the one that fills token Secrets. That one cannot be
    /// turned off with `--controllers`, but it only starts if it is given the key.
    pub fn restart_controllers(&self, filling_tokens: bool) -> Result<()> {
        self.let_go(&self.controllers());
        let pid = fs::read_to_string(self.controllers())?.trim().parse()?;
        let pid = Pid::from_raw(pid).context("no process has the number 0")?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).context("no controllers run")?;
        kill_process(pid, Signal::KILL)?;
        // Their port becomes free a moment later. New controllers could not start before.
        let deadline = Instant::now() + Duration::from_secs(60);
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
        // It would try forever to write pod addresses into Endpoints, which reject loopback addresses.
        command.arg("--controllers=*,-endpoints-controller");
        // EndpointSlices reject them too. Every Service still gets its slice. The long batch period keeps changes of
        // its pods from being written, rejected, reported as events and retried.
        command.arg("--endpointslice-updates-batch-period=24h");
        // kwok rarely renews the node's Lease, and a cluster must not lose its node while the machine is suspended.
        command.arg("--node-monitor-grace-period=1h");
        command.current_dir(self.state()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        self.keep_running(command, self.controllers())
    }

    /// The file with the process ID of the controllers.
    fn controllers(&self) -> PathBuf {
        self.state().join("pids/controllers.pid")
    }
}
