//! The mounted kubeconfigs: which of them Kiali uses as clusters, and which it silently ignores.

use std::path::{Path, PathBuf};

use axum::http::HeaderValue;
use kube::config::{Context, KubeConfigOptions, Kubeconfig, NamedContext};
use kube::{Client, Config};
use secrecy::ExposeSecret;
use serde_json::Value;

/// A usable kubeconfig.
#[derive(Debug)]
pub(super) struct Remote {
    /// The file name. Kiali's API lists the cluster under this name.
    pub(super) key: String,
    /// `clusters[0].name`. Kiali's caches use this name. If it differs from the key, the cluster is only half known.
    pub(super) name: String,
    /// The Secret, which is the name of the file's folder.
    pub(super) secret: String,
    kubeconfig: Kubeconfig,
}

/// Reads every regular file of each folder, and returns log lines about files that are no cluster.
pub(super) fn read(folders: &[(String, PathBuf)], home: &str) -> (Vec<Remote>, Vec<String>) {
    let (mut remotes, mut log): (Vec<Remote>, _) = (Vec::new(), Vec::new());
    for (secret, folder) in folders {
        for (key, text) in files(folder) {
            match parse(&text) {
                Ok(kubeconfig) if remotes.iter().all(|r| r.key != key) => {
                    let name = kubeconfig.clusters[0].name.clone();
                    let secret = secret.clone();
                    remotes.push(Remote {
                        key,
                        name,
                        secret,
                        kubeconfig,
                    });
                }
                Ok(_) => log.push(format!(
                    "ERR Cluster [{key}] already defined, ignoring Secret [{secret}]"
                )),
                Err(why) => log.push(format!("ERR Secret [{secret}], key [{key}]: {why}")),
            }
        }
    }
    // Home's own client silently replaces a remote with its name.
    remotes.retain(|remote| remote.key != home);
    (remotes, log)
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // The kubelet's own links have this prefix.
            let regular = !name.starts_with("..") && entry.path().is_file();
            let bytes = std::fs::read(entry.path()).ok()?;
            regular.then(|| (name, String::from_utf8_lossy(&bytes).into_owned()))
        })
        .collect();
    files.sort();
    files
}

fn parse(text: &str) -> Result<Kubeconfig, String> {
    let yaml: Value = match text.trim() {
        "" => Value::Object(Default::default()),
        text => serde_yaml::from_str(text).map_err(|e| format!("failed to parse bytes: {e}"))?,
    };
    let config: Kubeconfig =
        serde_json::from_value(yaml).map_err(|e| format!("failed to parse bytes: {e}"))?;
    if config.clusters.len() != 1 {
        return Err(format!(
            "it has [{}] clusters associated with it",
            config.clusters.len()
        ));
    }
    if config.auth_infos.is_empty() {
        return Err("it has [0] users associated with it".into());
    }
    Ok(config)
}

impl Remote {
    pub(super) fn server(&self) -> String {
        let cluster = self.kubeconfig.clusters[0].cluster.as_ref();
        cluster.and_then(|c| c.server.clone()).unwrap_or_default()
    }

    /// Returns a client configuration with the first user, whatever the contexts say. `at` finds the pod's files that
    /// the kubeconfig names. It never finds files of this machine. A plugin is not run: `enable_exec_provider` is off.
    pub(super) async fn config(
        &self,
        at: impl Fn(&str) -> Option<PathBuf>,
    ) -> Result<Config, String> {
        let mut config = self.kubeconfig.clone();
        let real = |path: &mut Option<String>| match path.as_deref() {
            None => Ok(()),
            Some(named) => {
                let found = at(named);
                let found = found.ok_or(format!("open {named}: no such file or directory"))?;
                *path = Some(found.to_string_lossy().into_owned());
                Ok::<_, String>(())
            }
        };
        let user = &mut config.auth_infos[0];
        if let Some(auth) = &mut user.auth_info {
            if let Some(token) = &auth.token {
                HeaderValue::from_str(token.expose_secret())
                    .map_err(|_| "net/http: invalid header field value for \"Authorization\"")?;
            }
            real(&mut auth.token_file)?;
            real(&mut auth.client_certificate)?;
            real(&mut auth.client_key)?;
            (auth.exec, auth.auth_provider) = (None, None);
        }
        if let Some(cluster) = &mut config.clusters[0].cluster {
            real(&mut cluster.certificate_authority)?;
        }
        let context = Context {
            cluster: self.name.clone(),
            user: Some(user.name.clone()),
            namespace: None,
            other: Default::default(),
            extensions: None,
        };
        config.contexts = vec![NamedContext {
            name: "kiali".into(),
            context: Some(context),
            other: Default::default(),
        }];
        config.current_context = Some("kiali".into());
        let built = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let mut built = built.map_err(|e| e.to_string())?;
        built.default_retry = false;
        // Ignores a proxy from the environment of this machine, which the pod does not have.
        let named = config_proxy(&self.kubeconfig);
        built.proxy_url = built.proxy_url.filter(|_| named);
        Ok(built)
    }
}

fn config_proxy(kubeconfig: &Kubeconfig) -> bool {
    let cluster = kubeconfig.clusters[0].cluster.as_ref();
    cluster.is_some_and(|cluster| cluster.proxy_url.is_some())
}

/// Returns a client without a timeout.
pub(super) fn patient(mut config: Config) -> Result<Client, String> {
    config.connect_timeout = None;
    Client::try_from(config).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: {name}, cluster: {{server: 'https://10.0.0.1'}}}}]\n\
             users: [{{name: {name}, user: {{token: secret}}}}]\n"
        )
    }

    fn folder(test: &str, files: &[(&str, String)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("kiali-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_file_is_a_cluster_named_by_its_key() {
        let files = [
            ("c1", kubeconfig("c1")),
            ("c2", kubeconfig("c2")),
            ("c3", kubeconfig("other")),
            ("empty", String::new()),
            ("garbage", "not a kubeconfig".into()),
            ("broken", "a: [".into()),
            ("..data", kubeconfig("hidden")),
        ];
        let folder = folder("keys", &files);
        let (remotes, log) = read(&[("remotes".into(), folder.clone())], "c1");
        std::fs::remove_dir_all(folder).unwrap();
        let names: Vec<_> = remotes
            .iter()
            .map(|r| (r.key.as_str(), r.name.as_str()))
            .collect();
        assert_eq!(names, [("c2", "c2"), ("c3", "other")]);
        assert_eq!(remotes[0].server(), "https://10.0.0.1");
        let log = log.join("\n");
        assert!(
            log.contains("key [empty]: it has [0] clusters associated with it"),
            "{log}"
        );
        assert!(
            log.contains("key [garbage]: failed to parse bytes"),
            "{log}"
        );
        assert!(log.contains("key [broken]: failed to parse bytes"), "{log}");
    }

    #[test]
    fn the_first_of_two_secrets_wins() {
        let folder = folder("twice", &[("c2", kubeconfig("c2"))]);
        let folders = [
            ("a".to_string(), folder.clone()),
            ("b".to_string(), folder.clone()),
        ];
        let (remotes, log) = read(&folders, "c1");
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!((remotes.len(), remotes[0].secret.as_str()), (1, "a"));
        assert!(log[0].contains("already defined"));
    }

    #[tokio::test]
    async fn a_token_file_is_found_where_it_is_mounted() {
        let text = kubeconfig("c2").replace("token: secret", "tokenFile: /tokens/c2");
        let remote = Remote {
            key: "c2".into(),
            name: "c2".into(),
            secret: "s".into(),
            kubeconfig: parse(&text).unwrap(),
        };
        let config = remote
            .config(|path| Some(PathBuf::from(format!("/host{path}"))))
            .await
            .unwrap();
        assert_eq!(
            config.auth_info.token_file.as_deref(),
            Some("/host/tokens/c2")
        );
        let elsewhere = remote.config(|_| None).await;
        assert!(elsewhere.is_err(), "a file of this machine");
    }

    #[tokio::test]
    async fn a_plugin_is_not_run() {
        let plugin = "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/dev/null]}";
        let remote = Remote {
            key: "c2".into(),
            name: "c2".into(),
            secret: "s".into(),
            kubeconfig: parse(&kubeconfig("c2").replace("token: secret", plugin)).unwrap(),
        };
        let config = remote.config(|_| None).await.unwrap();
        assert!(config.auth_info.exec.is_none());
    }
}
