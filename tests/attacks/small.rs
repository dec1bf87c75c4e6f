//! Quoting, passwords in addresses, system namespaces, and files of the user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::cli::run;
use crate::support::{BOTH, Ended, ambikiali, to_an_install};

#[tokio::test]
async fn attack_18_a_namespace_of_the_system_is_no_place_for_kiali() {
    for name in [
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "kube-x",
        "default",
        "istio-system",
    ] {
        for command in ["check", "plan", "install", "status", "cleanup"] {
            let arguments = [command, "-n", name, "--ctx1", "east", "--ctx2", "west"];
            let ended = run(&arguments).await.exited(2);
            assert!(ended.stderr.contains(name), "{ended:#?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleet.yaml");
        let text = format!(
            "apiVersion: ambikiali.dev/v1alpha1\nkind: Fleet\nnamespace: {name}\nhome: {{context: east}}\nremotes: [{{context: west}}]\n"
        );
        fs::write(&file, text).unwrap();
        let ended = run(&["status", "-f", &file.display().to_string()]).await;
        assert_ne!(ended.code, 0);
        assert!(
            ended.stderr.contains(name) && ended.stderr.contains("line 3"),
            "{ended:#?}"
        );
    }
}

/// Runs a command that needs the remembered install, with something else in place of its file.
async fn with(place: impl FnOnce(&Path)) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    fs::write(&kubeconfig, crate::cli::KUBECONFIG).unwrap();
    fs::create_dir(folder.path().join("ambikiali")).unwrap();
    place(&folder.path().join("ambikiali/last.json"));
    ambikiali(&["status"], &kubeconfig, folder.path()).await
}

#[tokio::test]
async fn attack_18_what_stands_in_for_the_memory_is_neither_waited_for_nor_followed() {
    let good = r#"{"kubeconfig":[],"home":{"context":"east","name":"a","uid":"1"},"remotes":[]}"#;
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(elsewhere.path(), good).unwrap();
    let fifo = |path: &Path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let link = |path: &Path| symlink(elsewhere.path(), path).unwrap();
    let zero = |path: &Path| symlink("/dev/zero", path).unwrap();
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    let large = |path: &Path| fs::write(path, format!("{good}{}", " ".repeat(3 << 20))).unwrap();
    let escape = |path: &Path| fs::write(path, good.replace("east", "\\u001b[2J")).unwrap();
    let uid = |path: &Path| fs::write(path, good.replace("\"1\"", "\"../1\"")).unwrap();
    let name = |path: &Path| fs::write(path, good.replace("\"a\"", "\"a/b\"")).unwrap();
    for ended in [
        with(fifo).await,
        with(link).await,
        with(zero).await,
        with(folder).await,
        with(large).await,
        with(escape).await,
        with(uid).await,
        with(name).await,
    ] {
        let ended = ended.exited(3);
        let said = ["no contexts given, and ", "last.json is not readable"];
        let told = said.iter().all(|said| ended.stderr.contains(said));
        assert!(told, "{ended:#?}");
    }
    // A regular file with that content is accepted.
    let ended = with(|path| fs::write(path, good).unwrap()).await.exited(8);
    assert!(ended.stderr.contains("context east"), "{ended:#?}");
}

#[test]
fn attack_18_the_memory_is_the_users_own_whatever_the_umask() {
    to_an_install(async |clusters| {
        let state = clusters.state().join("open");
        let folder = state.join("ambikiali");
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let arguments = [&["install"], &BOTH[..], &["--timeout", "90s"]].concat();
        let script = format!("umask 0; exec \"$0\" {}", arguments.join(" "));
        let status = tokio::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_ambikiali")])
            .env("KUBECONFIG", clusters.sandbox.kubeconfig())
            .env("XDG_STATE_HOME", &state)
            .output()
            .await
            .expect("the binary starts");
        assert!(status.status.success(), "{status:?}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("last.json")), 0o600);
    });
}
