//! `sandbox up`, `env` and `down`: clusters that keep running. A background process owns them and holds a lock. The
//! lock tells whether the process is alive, and a file next to it tells where the clusters are.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ambikiali_sandbox::run::target;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::signals::Signals;

#[derive(Deserialize, Serialize)]
struct State {
    pid: i32,
    kubeconfig: PathBuf,
    contexts: Vec<String>,
}

fn file(name: &str) -> Result<PathBuf> {
    let folder = target()?.join("sandbox");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// Takes the lock. Returns None if a running process holds it.
fn lock() -> Result<Option<File>> {
    let path = file("serve.lock")?;
    let lock = File::options().create(true).append(true).open(path)?;
    Ok(lock.try_lock().is_ok().then_some(lock))
}

fn running() -> Result<Option<State>> {
    if lock()?.is_some() {
        return Ok(None);
    }
    let state = fs::read_to_string(file("serve.json")?);
    let state = state.context("the clusters are still starting")?;
    Ok(Some(serde_json::from_str(&state)?))
}

pub fn up(names: &[String], delays: bool) -> Result<()> {
    if let Some(state) = running()? {
        println!("They are up already.");
        return explain(&state);
    }
    let log_path = file("serve.log")?;
    let log = File::create(&log_path)?;
    let mut serve = Command::new(std::env::current_exe()?);
    serve.arg("serve").args(delays.then_some("--delays"));
    serve.args(names.iter().flat_map(|name| ["--cluster", name]));
    // Its own process group, so that it outlives this command, the shell and a Ctrl-C in either.
    serve.process_group(0).stdin(Stdio::null());
    let mut serve = serve.stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut shown = 0;
    loop {
        let text = fs::read_to_string(&log_path)?;
        eprint!("{}", &text[shown..]);
        shown = text.len();
        if let Some(status) = serve.try_wait()? {
            bail!("it ended with {status}; its output: {}", log_path.display());
        }
        match fs::read_to_string(file("serve.json")?) {
            Ok(state) => return explain(&serde_json::from_str(&state)?),
            Err(_) => sleep(Duration::from_millis(100)),
        }
    }
}

fn explain(state: &State) -> Result<()> {
    let file = state.kubeconfig.display();
    println!("kubeconfig: {file}");
    println!("contexts:   {}", state.contexts.join(", "));
    println!("use it:     export KUBECONFIG={file}");
    println!("stop:       cargo sandbox down");
    Ok(())
}

pub fn env() -> Result<()> {
    let Some(state) = running()? else {
        bail!("no clusters are up: start them with `cargo sandbox up`");
    };
    println!("export KUBECONFIG='{}'", state.kubeconfig.display());
    Ok(())
}

pub fn down() -> Result<()> {
    let Some(state) = running()? else {
        println!("No clusters are up.");
        return Ok(());
    };
    let pid = Pid::from_raw(state.pid).context("no process has the number 0")?;
    kill_process(pid, Signal::TERM)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while lock()?.is_none() {
        ensure!(
            Instant::now() < deadline,
            "process {} does not stop",
            state.pid
        );
        sleep(Duration::from_millis(50));
    }
    println!("Stopped; nothing is left.");
    Ok(())
}

/// Runs as the background process.
#[tokio::main]
pub async fn serve(names: &[String], delays: bool) -> Result<()> {
    let mut signals = Signals::new()?;
    let Some(_lock) = lock()? else {
        bail!("clusters are up already: `cargo sandbox env`");
    };
    let path = file("serve.json")?;
    // Left behind by a process that was killed.
    let _ = fs::remove_file(&path);
    let sandbox = signals.start(names, delays).await?;
    let state = State {
        pid: i32::try_from(std::process::id())?,
        kubeconfig: sandbox.kubeconfig().into(),
        contexts: names.to_vec(),
    };
    // Renaming is atomic, so a reader never sees half of the file.
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_string(&state)?)?;
    fs::rename(&new, &path)?;
    signals.any().await;
    let _ = fs::remove_file(&path);
    sandbox.stop().await
}
