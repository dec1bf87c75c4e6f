//! Identifies the holder of a Lease. On the same machine, a killed holder is recognised, so that the next run
//! does not have to wait for the Lease to expire.

use std::fs;
use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;

/// Annotation that identifies one process of one machine. A process id alone may be reused.
pub const PROCESS: &str = "ambikiali.dev/process";

/// The holder as shown to users, and the identity that `is_this` compares.
pub fn this_process() -> (String, String) {
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

/// Whether a run of ambikiali created the Lease.
pub fn is_known(lease: &Lease) -> bool {
    process(lease).is_some()
}

pub fn is_this(lease: &Lease) -> bool {
    process(lease) == Some(this_process().1.as_str())
}

/// Whether the holder has ended. Never true on another machine.
pub fn has_ended(lease: &Lease) -> bool {
    let dead = |process: &str| {
        // If process 1 is hidden, other processes may be hidden too.
        started(1)?;
        let rest = process.strip_prefix(&machine()?)?.strip_prefix('/')?;
        let (pid, start) = rest.split_once('/')?;
        let now = started(pid.parse().ok()?);
        Some(now.as_deref() != Some(start))
    };
    process(lease).and_then(dead).unwrap_or(false)
}

/// Identifies the boot and the PID namespace, because process ids are per namespace.
fn machine() -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let processes = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{boot}/{}", processes.display()))
}

/// Start time of the process, in ticks since boot; None if there is no such process.
fn started(pid: u32) -> Option<String> {
    let status = read(format!("/proc/{pid}/stat"))?;
    // The process name in brackets may contain anything, so skip to the last bracket.
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
    fn this_process_is_a_live_holder() {
        let lease = held_by(&this_process().1);
        assert!(is_this(&lease));
        assert!(!has_ended(&lease));
    }

    #[test]
    fn a_dead_holder_is_recognised_only_on_the_same_machine() {
        let own = machine().expect("Linux");
        assert!(
            has_ended(&held_by(&format!("{own}/{}/1", std::process::id()))),
            "its process id was reused"
        );
        assert!(
            has_ended(&held_by(&format!("{own}/4194305/1"))),
            "no such process"
        );
        for unknown in ["another-boot/pid:[1]/1/1", "unknown/host/1", "", "//"] {
            assert!(!has_ended(&held_by(unknown)), "{unknown}");
        }
    }
}
