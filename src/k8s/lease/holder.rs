//! Who holds a Lease. A holder that was killed is told from one that works only on the machine where
//! it ran: there its successor need not wait.

use std::fs;
use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;

/// Names one process of one machine for good: a number alone is used again.
pub const PROCESS: &str = "ambikiali.dev/process";

/// For people, and for `is_this`.
pub fn this() -> (String, String) {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".into());
    let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "a machine".into());
    let pid = std::process::id();
    let process = match machine().zip(started(pid)) {
        Some((machine, started)) => format!("{machine}/{pid}/{started}"),
        None => format!("unknown/{host}/{pid}"),
    };
    (format!("{user}@{host} (process {pid})"), process)
}

fn process(lease: &Lease) -> Option<&str> {
    let annotations = lease.metadata.annotations.as_ref()?;
    annotations.get(PROCESS).map(String::as_str)
}

/// Whether a run of this tool holds or held it.
pub fn is_known(lease: &Lease) -> bool {
    process(lease).is_some()
}

pub fn is_this(lease: &Lease) -> bool {
    process(lease) == Some(this().1.as_str())
}

/// Only ever true on the machine where it ran.
pub fn is_dead(lease: &Lease) -> bool {
    let dead = |process: &str| {
        // Where the processes of others are hidden, nothing can be said of them.
        started(1)?;
        let rest = process.strip_prefix(&machine()?)?.strip_prefix('/')?;
        let (pid, start) = rest.split_once('/')?;
        let now = started(pid.parse().ok()?);
        Some(now.as_deref() != Some(start))
    };
    process(lease).and_then(dead).unwrap_or(false)
}

/// This boot, and this namespace of processes: a container has numbers of its own.
fn machine() -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let processes = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{boot}/{}", processes.display()))
}

/// When the process began, in ticks since the boot; None when there is none.
fn started(pid: u32) -> Option<String> {
    let status = read(format!("/proc/{pid}/stat"))?;
    // The name before it, in brackets, may hold anything.
    let fields = status.rsplit_once(')')?.1;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (state != "Z").then(|| start.into())
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn held_by(process: &str) -> Lease {
        let lease = json!({"metadata": {"annotations": {PROCESS: process}}});
        serde_json::from_value(lease).unwrap()
    }

    #[test]
    fn this_process_holds_and_lives() {
        let lease = held_by(&this().1);
        assert!(is_this(&lease));
        assert!(!is_dead(&lease));
    }

    #[test]
    fn death_is_only_told_on_the_same_machine() {
        let own = machine().expect("Linux");
        assert!(
            is_dead(&held_by(&format!("{own}/{}/1", std::process::id()))),
            "its number was used again"
        );
        assert!(
            is_dead(&held_by(&format!("{own}/4194305/1"))),
            "no such process"
        );
        for unknown in ["another-boot/pid:[1]/1/1", "unknown/host/1", "", "//"] {
            assert!(!is_dead(&held_by(unknown)), "{unknown}");
        }
    }
}
