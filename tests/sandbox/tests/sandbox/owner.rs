//! Nothing of the clusters is left when their owner ends, for whatever reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::processes;

/// `sandbox run` with a command that reports its kubeconfig and waits.
struct Owner {
    child: Child,
    folder: PathBuf,
}

impl Owner {
    fn start(name: &str) -> Result<Owner> {
        let told = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
        command.args(["run", "--cluster", name, "--", "sh", "-c"]);
        command.arg(r#"printf %s "$KUBECONFIG" >"$TOLD.new"; mv "$TOLD.new" "$TOLD"; sleep 600"#);
        command.env("TOLD", &told).stdin(Stdio::null());
        let mut child = command.spawn()?;
        while !told.exists() {
            ensure!(child.try_wait()?.is_none(), "the owner ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        let kubeconfig = PathBuf::from(fs::read_to_string(&told)?);
        fs::remove_file(&told)?;
        let folder = kubeconfig.parent().context("no folder")?.to_path_buf();
        Ok(Owner { child, folder })
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn is_gone(&self) -> bool {
        processes(&self.folder).is_empty() && !self.folder.exists()
    }
}

fn reaper_of(folder: &Path) -> Option<String> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter(|entry| {
        let words = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        words.ends_with(&format!("\0reap\0{}\0", folder.display()))
    });
    Some(pids.next()?.file_name().to_string_lossy().into())
}

fn wait_until(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        ensure!(Instant::now() < deadline, "{what}: not after 20 s");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_killed_owner_leaves_nothing_and_the_living_are_untouched() -> Result<()> {
    let mut living = Owner::start("living")?;
    let mut killed = Owner::start("killed")?;
    killed.kill()?;
    wait_until("the reaper ends a killed owner's run", || killed.is_gone())?;

    // Now the reaper is killed too, and the next start removes what is left.
    let mut orphaned = Owner::start("orphaned")?;
    let reaper = reaper_of(&orphaned.folder).context("no reaper")?;
    let status = Command::new("kill").args(["-9", &reaper]).status()?;
    ensure!(status.success(), "cannot kill the reaper");
    orphaned.kill()?;
    ensure!(!processes(&orphaned.folder).is_empty(), "who ended them?");
    let mut next = Owner::start("next")?;
    wait_until("the next start ends an orphaned run", || orphaned.is_gone())?;
    next.kill()?;
    wait_until("the reaper ends the next run", || next.is_gone())?;

    ensure!(
        !processes(&living.folder).is_empty() && living.folder.exists(),
        "a living run died"
    );
    living.kill()?;
    wait_until("the reaper ends the living run", || living.is_gone())
}
