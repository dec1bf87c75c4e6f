//! `--watch`: a line for each change, and the exit code of the last look.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Duration, timeout};

use crate::output::schema;
use crate::support::{Clusters, PATIENCE, from_an_install, masked, output, says, scale};

/// A command that watches, and what it prints to stdout.
struct Watching {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    /// Returns after the first look.
    async fn start(clusters: &Clusters, arguments: &[&str]) -> Watching {
        let mut child = clusters.start(arguments);
        let stdout = child.stdout.take().expect("a pipe");
        says(&mut child, |said| {
            said.contains("watching every 1 s; Ctrl-C ends\n")
        })
        .await;
        Watching {
            child,
            stdout: BufReader::new(stdout).lines(),
        }
    }

    /// Reads on to a line that has all of these words.
    async fn until(&mut self, words: &[&str]) -> String {
        loop {
            let line = timeout(PATIENCE, self.stdout.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("no line with {words:?}"));
            let line = line.expect("text").expect("a line");
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// Sends Ctrl-C, and returns the rest of stdout with the exit code.
    async fn interrupted(self) -> (String, i32) {
        let id = self.child.id().expect("a process").to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().await;
        assert!(sent.expect("a signal").success());
        self.ended().await
    }

    async fn ended(mut self) -> (String, i32) {
        let mut rest = String::new();
        while let Some(line) = timeout(PATIENCE, self.stdout.next_line())
            .await
            .expect("an end")
            .expect("text")
        {
            rest.push_str(&line);
            rest.push('\n');
        }
        let status = self.child.wait().await.expect("its end");
        (rest, status.code().unwrap_or(-1))
    }
}

#[test]
fn what_changes_is_told_until_ctrl_c_and_drift_ends_what_waits_for_it() {
    from_an_install(async |clusters| {
        clusters
            .run(&["status", "--exit-on-drift"])
            .await
            .succeeded();
        an_api_server_goes_and_comes_back(clusters).await;
        drift_is_told(clusters).await;
        clusters.cleaned().await;
    });
}

/// Checks that an event is as its schema, and is about the API server of the remote.
fn states(line: &str) -> [Value; 2] {
    let event: Value = serde_json::from_str(line).expect("JSON");
    schema::assert_valid(&event);
    assert_eq!(event["cluster"], "cluster2", "{line}");
    ["was", "is"].map(|key| event[key].clone())
}

async fn an_api_server_goes_and_comes_back(clusters: &Clusters) {
    let remote = clusters.remote();
    let jsonl = ["status", "--watch", "1", "-o", "jsonl"];
    let mut watching = Watching::start(clusters, &jsonl).await;
    remote.kill_api_server().expect("killed");
    let gone = watching.until(&["\"changed\"", "\"api server\""]).await;
    assert_eq!(states(&gone), ["ok", "broken"]);
    remote.restart_api_server().await.expect("back");
    let back = watching.until(&["\"changed\"", "\"api server\""]).await;
    assert_eq!(states(&back), ["broken", "ok"]);
    // Every component has to be ready again in the last look.
    let home = clusters.home();
    let (rest, code) = loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if clusters.run(&["status"]).await.code == 0 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            break watching.interrupted().await;
        }
    };
    assert_eq!(code, 0, "{}: {rest}", home.name());
    let document: Value = serde_json::from_str(rest.lines().last().expect("a line")).expect("JSON");
    schema::assert_valid(&document);
    assert_eq!(
        (&document["kind"], &document["exitCode"]),
        (&"StatusResult".into(), &0.into())
    );
}

async fn drift_is_told(clusters: &Clusters) {
    let remote = clusters.remote();
    let verify = ["verify", "--probes", "none", "--watch", "1"];
    let mut verifying = Watching::start(clusters, &verify).await;
    verifying.until(&["Verified in "]).await;
    let waits = ["status", "--watch", "1", "--exit-on-drift"];
    let waiting = Watching::start(clusters, &waits).await;
    scale(remote, "istio-system/prometheus", 0).await;
    let (said, code) = waiting.ended().await;
    assert_eq!(code, 5, "{said}");
    let drift = "-> drifted  Deployment istio-system/prometheus: changed by somebody at TIME: .spec.replicas\n";
    assert!(masked(&said).contains(drift), "{said}");
    let broken = verifying
        .until(&["cluster2", " components ", "ok -> broken"])
        .await;
    let told = "cluster2      components          ok -> broken: Deployment istio-system/prometheus: scaled to 0";
    assert_eq!(broken.split_once("  ").expect("a time").1, told);
    let (rest, code) = verifying.interrupted().await;
    assert_eq!(code, 5, "{rest}");
    assert!(rest.contains("\nNot verified in "), "{rest}");
    clusters.run(&["status", "--exit-on-drift"]).await.exited(5);
    clusters.run(&["status"]).await.exited(1);
    let json = output(clusters.start(&["status", "--exit-on-drift", "-o", "json"])).await;
    assert_eq!(
        schema::read("json", &json.exited(5)).document.expect("one")["exitCode"],
        5
    );
}
