//! A real Chromium without a window, driven over its pipe: it ends when the pipe is closed, also if a test fails.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Limit for each answer; the first one waits for the start.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];
/// The pipe has the numbers 3 and 4 in Chromium.
const SHELL: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

pub struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Receiver<Value>,
    events: VecDeque<Value>,
    session: Option<String>,
    next: u64,
    _profile: TempDir,
}

fn program() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let is_there = |name: &&&str| folders.iter().any(|folder| folder.join(name).is_file());
    NAMES.iter().find(is_there).expect(
        "no chromium or google-chrome in PATH: run .ci/chromium, which installs Debian's package, or install one",
    )
}

impl Browser {
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder");
        let mut data = std::ffi::OsString::from("--user-data-dir=");
        data.push(profile.path());
        let mut child = Command::new("sh")
            .args(["-c", SHELL, "sh", program()])
            .args(FLAGS)
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a browser");
        let commands = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while output
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                let text = message.strip_suffix(&[0]).unwrap_or(&message);
                let value = serde_json::from_slice(text).unwrap_or_default();
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Browser {
            child,
            commands,
            answers,
            events: VecDeque::new(),
            session: None,
            next: 1,
            _profile: profile,
        };
        browser.attach();
        browser
    }

    /// Opens a tab, and tells of its requests and complaints from now on.
    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", target);
        self.session = session["sessionId"].as_str().map(Into::into);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let commands = self.commands.as_mut().expect("a pipe");
        commands
            .write_all(format!("{command}\0").as_bytes())
            .expect("it runs");
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.message(end, method);
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn message(&mut self, end: Instant, waiting_for: &str) -> Value {
        let left = end.saturating_duration_since(Instant::now());
        let message = self.answers.recv_timeout(left);
        message.unwrap_or_else(|error| panic!("the browser does not answer {waiting_for}: {error}"))
    }

    /// Loads a file in a window of this size and returns what the browser asked others for and complained of.
    pub fn open(&mut self, file: &Path, width: u32, scheme: &str) -> Vec<String> {
        let size =
            json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.media("screen", scheme);
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        let end = Instant::now() + PATIENCE;
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let message = self.message(end, "Page.loadEventFired");
            self.events.push_back(message);
        }
        // Whatever the page started by itself is known after one more answer.
        self.evaluate("new Promise(done => setTimeout(done, 50))");
        let events = self.events.drain(..);
        events.filter_map(|event| complaint(&event, &url)).collect()
    }

    pub fn media(&mut self, media: &str, scheme: &str) {
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"media": media, "features": scheme}),
        );
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let expression =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", expression);
        assert!(answer.get("exceptionDetails").is_none(), "{answer:#}");
        answer["result"]["value"].clone()
    }

    /// A picture of the whole page, as PNG.
    pub fn screenshot(&mut self) -> Vec<u8> {
        let whole = json!({"captureBeyondViewport": true, "format": "png"});
        let answer = self.call("Page.captureScreenshot", whole);
        let data = answer["data"].as_str().expect("a picture");
        STANDARD.decode(data).expect("base64")
    }
}

/// A request to anything but the page, or a message of the browser.
fn complaint(event: &Value, page: &str) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Network.requestWillBeSent" if parameters["request"]["url"] == page => None,
        "Network.requestWillBeSent"
        | "Log.entryAdded"
        | "Runtime.consoleAPICalled"
        | "Runtime.exceptionThrown" => Some(event.to_string()),
        _ => None,
    }
}

impl Drop for Browser {
    /// Chromium and its children end with the pipe.
    fn drop(&mut self) {
        drop(self.commands.take());
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
