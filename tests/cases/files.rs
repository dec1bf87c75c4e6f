//! The user's files may be pipes without a writer, or endless. Pipes with content work like files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Ended, command, output};

struct Person {
    root: TempDir,
}

impl Person {
    fn new() -> Person {
        let root = tempfile::tempdir().expect("a folder");
        Person { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn pipe(&self) -> PathBuf {
        let path = self.path("pipe");
        let made = Program::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        path
    }

    fn config(&self, cluster: &str, user: &str) -> PathBuf {
        let text = format!(
            "clusters: [{{name: one, cluster: {{server: 'https://127.0.0.1:1'{cluster}}}}}]\n\
             contexts: [{{name: one, context: {{cluster: one, user: admin}}}}]\n\
             users: [{{name: admin, user: {{{user}}}}}]\n"
        );
        let path = self.path("config");
        fs::write(&path, text).expect("a file");
        path
    }

    async fn run(&self, arguments: &[&str], kubeconfig: &Path) -> Ended {
        let child = command(arguments, kubeconfig, self.root.path()).spawn();
        let mut ended = output(child.expect("the binary starts")).await;
        let root = self.root.path().display().to_string();
        ended.stderr = ended.stderr.replace(&root, "ROOT");
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        ended
    }
}

const BOTH: [&str; 3] = ["check", "--ctx1=one", "--ctx2=one"];

/// Returns the errors of all commands that take this file.
async fn named(person: &Person, file: &Path, more: &str) -> Vec<String> {
    let path = file.display().to_string();
    let of = |what: &str| format!("{what}: {path}");
    let mut said = Vec::new();
    let ca = format!(", {}", of("certificate-authority"));
    for (cluster, user) in [
        ("", of("tokenFile")),
        (ca.as_str(), "token: good".into()),
        (
            "",
            format!("{}, client-key: {path}", of("client-certificate")),
        ),
    ] {
        let config = person.config(cluster, &user);
        let ended = person.run(&[&BOTH[..], &[more]].concat(), &config).await;
        said.push(ended.exited(3).stderr);
    }
    let ended = person.run(&[&BOTH[..], &[more]].concat(), file).await;
    said.push(ended.exited(3).stderr);
    let ended = person.run(&["check", "-f", &path, more], file).await;
    said.push(ended.exited(2).stderr);
    said
}

#[tokio::test]
async fn files_01_a_pipe_that_nobody_writes_to_ends_with_the_time_of_the_command_and_is_named() {
    let person = Person::new();
    let pipe = person.pipe();
    let begun = Instant::now();
    for said in named(&person, &pipe, "--timeout=1s").await {
        assert!(
            said.contains("ROOT/pipe: was not fully read within 1 s\n"),
            "{said}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn files_02_a_file_that_is_too_large_is_named_with_the_limit() {
    let person = Person::new();
    for said in named(&person, Path::new("/dev/zero"), "--timeout=1m").await {
        assert!(said.contains("/dev/zero: larger than 16 MiB\n"), "{said}");
    }
}

#[tokio::test]
async fn files_03_a_signal_ends_what_waits_for_a_file() {
    let person = Person::new();
    let pipe = person.pipe().display().to_string();
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = command(
            &["check", "-f", &pipe],
            Path::new(&pipe),
            person.root.path(),
        )
        .spawn()
        .expect("the binary starts");
        crate::support::says(&mut child, |said| said.contains("still reading ")).await;
        let pid = child.id().expect("it runs").to_string();
        let sent = Program::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill").success());
        output(child).await.exited(code);
    }
}

#[tokio::test]
async fn files_04_a_pipe_that_is_written_to_is_as_good_as_a_file() {
    let person = Person::new();
    let pipe = person.pipe().display().to_string();
    let config = person.config("", "token: good");
    let good = fs::read(&config).expect("a file");
    let fleet = format!(
        "{{apiVersion: ambikiali.dev/v1alpha1, kind: Fleet, home: {{context: one, kubeconfig: {0}}},\n\
         remotes: [{{context: one, kubeconfig: {0}}}]}}",
        config.display()
    );
    for (arguments, text) in [
        (["check", "-f", &pipe].to_vec(), fleet.into_bytes()),
        ([&BOTH[..], &["--kubeconfig", &pipe]].concat(), good),
    ] {
        let to = PathBuf::from(&pipe);
        let writer = std::thread::spawn(move || fs::write(to, text).expect("a pipe"));
        let ended = person.run(&arguments, Path::new("/nowhere")).await;
        // The file was read and the server was contacted.
        let said = &ended.stderr;
        assert!(
            said.contains("error[AK1001]: context one at https://127.0.0.1:1"),
            "{said}"
        );
        writer.join().expect("it is written");
        if arguments.contains(&"--kubeconfig") {
            pasted(said);
        }
    }
}

/// Runs the fix in a shell. The pipe is empty by then, so the fix must ask for a file and run nothing without one.
fn pasted(said: &str) {
    let (_, fix) = said.split_once("\n  fix: ").expect("a way out");
    let fix = fix.lines().next().expect("a line");
    assert!(!fix.contains("ROOT/pipe"), "{fix}");
    let fix = fix.replacen("kubectl", "echo", 1);
    let shell = |begin: &str| {
        let script = format!("{begin}{fix}");
        let ended = Program::new("sh").args(["-c", &script]).output();
        ended.expect("a shell")
    };
    let without = shell("unset FILE; ");
    assert!(!without.status.success());
    let asked = String::from_utf8_lossy(&without.stderr);
    assert!(asked.contains("write the kubeconfig to a file"), "{asked}");
    let with = shell("FILE='my file'; ");
    let meant = "--kubeconfig my file --context one version\n";
    assert_eq!(String::from_utf8_lossy(&with.stdout), meant);
}

#[tokio::test]
async fn files_05_what_is_wrong_with_a_fleet_file_is_told_in_words_for_its_author() {
    let person = Person::new();
    let file = person.path("fleet.yaml");
    let head = "apiVersion: ambikiali.dev/v1alpha1\nkind: Fleet\n";
    let long = format!("{head}remotes: [{}]\n", "{context: a}, ".repeat(150_000));
    let twice = format!("{head}home: {{context: one}}\nhome: {{context: two}}\n");
    let two = format!("{head}home: {{context: one}}\nremotes: [{{context: two}}]\n---\n{head}");
    let path = file.display().to_string();
    for (text, cause) in [
        (twice, "the key `home` is there twice"),
        (two, "a second YAML document begins, and one is expected"),
        (
            long,
            "it is too large, too deep, or repeats too much by aliases",
        ),
    ] {
        fs::write(&file, text).expect("a file");
        let ended = person.run(&["check", "-f", &path], &file).await.exited(2);
        let said = &ended.stderr;
        assert!(
            said.contains("ROOT/fleet.yaml: ") && said.contains(cause),
            "{said}"
        );
        assert!(said.contains("line "), "{said}");
    }
}

#[tokio::test]
async fn files_06_an_auth_provider_that_kubectl_has_no_more_is_told_with_its_plugin() {
    let person = Person::new();
    let config = person.config("", "auth-provider: {name: gcp}");
    let ended = person.run(&BOTH, &config).await.exited(3);
    let cause = "error[AK1012]: context one: user \"admin\": auth-provider gcp was removed from kubectl in 1.26; use the exec plugin gke-gcloud-auth-plugin instead";
    assert!(ended.stderr.contains(cause), "{ended:#?}");
}
