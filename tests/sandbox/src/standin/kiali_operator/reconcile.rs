//! One run of the deploy role, paced as the real one: what it writes becomes visible when the real
//! one's does, because an installer that overlaps its work with the run is judged by exactly that.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ListParams, Patch};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::Operator;
use super::apply::{Writer, Written, by_roles, failed};
use super::config::Config;
use super::{deployment, objects, validate};

/// Even with no delays there is a gap between Running and Successful that a watch can see.
const SHORTEST: Duration = Duration::from_millis(20);

struct Run<'a> {
    operator: &'a Operator,
    crs: &'a Api<DynamicObject>,
    cr: Value,
    config: Config,
    version: String,
    writer: Writer,
    started: Instant,
}

pub(super) async fn deploy(
    operator: &Operator,
    crs: &Api<DynamicObject>,
    cr: &DynamicObject,
) -> Result<(), String> {
    let namespace = cr.metadata.namespace.as_deref().unwrap_or_default();
    let whole = operator.container.world.delays().reconcile;
    let run = Run {
        operator,
        crs,
        cr: serde_json::to_value(cr).map_err(|e| e.to_string())?,
        config: Config::of(&cr.data["spec"], namespace),
        version: validate::version(operator).await,
        writer: writer(operator, cr, whole),
        started: Instant::now(),
    };
    let result = run.tasks(whole).await;
    sleep_until(run.started + SHORTEST).await;
    result
}

/// Ten seconds between tries, in a run of sixteen, and never at once: a right that was just granted takes a moment.
pub(super) fn writer(operator: &Operator, cr: &DynamicObject, whole: Duration) -> Writer {
    let pause = whole.mul_f64(10.0 / 16.0).max(SHORTEST);
    Writer {
        client: operator.container.client.clone(),
        owner: cr.clone(),
        pause,
    }
}

impl Run<'_> {
    async fn tasks(&self, whole: Duration) -> Result<(), String> {
        let delays = self.operator.container.world.delays();
        let at = |part: f64| sleep_until(self.started + whole.mul_f64(part));
        at(0.08).await;
        self.progress(
            1,
            "Initializing",
            json!({"specVersion": self.config.text("/version")}),
        )
        .await?;
        at(0.25).await;
        validate::identity(self.operator, &self.config, &self.cr).await?;
        at(0.28).await;
        self.progress(2, "Setting up configuration", self.environment().await?)
            .await?;
        at(0.32).await;
        validate::settings(self.operator, &self.config, &self.version)?;
        validate::may_create_roles(self.operator).await?;
        at(0.40).await;
        validate::signing_key(&self.config)?;
        at(0.46).await;
        self.signing_key().await?;
        at(0.61).await;
        self.progress(3, "Deleting obsolete roles", json!({}))
            .await?;
        self.obsolete_roles().await?;
        at(0.66).await;
        self.progress(4, "Processing namespace labels", json!({}))
            .await?;
        at(0.73).await;
        self.progress(5, "Creating core resources", json!({}))
            .await?;
        sleep_until(self.started + delays.reconcile_rbac).await;
        let changed = self.access().await?;
        if !self.config.remote {
            sleep_until(self.started + delays.reconcile_deployment).await;
            self.server(changed).await?;
        }
        at(0.97).await;
        self.progress(6, "Finished all resource creation", json!({}))
            .await?;
        at(1.0).await;
        Ok(())
    }

    async fn progress(&self, step: u8, text: &str, more: Value) -> Result<(), String> {
        let s = self.started.elapsed().as_secs();
        let mut status = json!({"progress": {
            "message": format!("{step}. {text}"),
            "duration": format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
        }});
        if let (Some(status), Value::Object(more)) = (status.as_object_mut(), more) {
            status.extend(more);
        }
        let name = self.cr["metadata"]["name"].as_str().unwrap_or_default();
        let patch = Patch::Merge(json!({"status": status}));
        let written = self.crs.patch_status(name, &by_roles(), &patch).await;
        written.map(drop).map_err(|e| failed("patch", &e))
    }

    async fn environment(&self) -> Result<Value, String> {
        let server = self.operator.container.client.apiserver_version().await;
        let server = server
            .map_err(|e| failed("retrieve requested", &e))?
            .git_version;
        Ok(json!({
            "environment": {
                "isKubernetes": true,
                "kubernetesVersion": server.trim_start_matches('v'),
                "operatorVersion": self.version,
            },
            "deployment": {
                "instanceName": self.config.instance,
                "namespace": self.config.namespace,
                "remoteClusterResourcesOnly": self.config.remote,
            },
        }))
    }

    async fn signing_key(&self) -> Result<(), String> {
        if self.config.remote || !self.config.text("/login_token/signing_key").is_empty() {
            return Ok(());
        }
        let secret = objects::signing_key(&self.config, &self.version, &random_key()?);
        if self.writer.get(&secret).await?.is_none() {
            self.writer.put(secret.clone()).await?;
        }
        self.writer
            .patch(&secret, &objects::signing_key_label(&self.config))
            .await
    }

    /// The binding and both roles, because the role of a binding cannot be changed: but only when ConfigMap `kiali`
    /// says that the last run made them for another mode. A binding to another role that somebody made is neither
    /// seen here nor mended later.
    async fn obsolete_roles(&self) -> Result<(), String> {
        if !self.changes_mode().await? {
            return Ok(());
        }
        let rbac = "rbac.authorization.k8s.io/v1";
        let (role, viewer) = (
            self.config.instance.as_str(),
            format!("{}-viewer", self.config.instance),
        );
        for (kind, name) in [
            ("ClusterRoleBinding", role),
            ("ClusterRole", role),
            ("ClusterRole", &viewer),
        ] {
            if let Err(why) = self.writer.delete(kind, rbac, name, "").await {
                let container = &self.operator.container;
                container.log(format_args!("ignoring: {why}"));
            }
        }
        Ok(())
    }

    async fn changes_mode(&self) -> Result<bool, String> {
        let map = objects::config_map(&self.config, &self.version)?;
        let live = self.writer.get(&map).await?;
        let text = live.and_then(|l| l.data["data"]["config.yaml"].as_str().map(String::from));
        let Some(before) = text.and_then(|text| serde_yaml::from_str::<Value>(&text).ok()) else {
            return Ok(false);
        };
        let (mode, strategy) = ("/deployment/view_only_mode", "/auth/strategy");
        let binding = objects::cluster_role_binding(&self.config, &self.version);
        let binding = self.writer.get(&binding).await?;
        let role = binding.and_then(|b| b.data["roleRef"]["name"].as_str().map(String::from));
        let views = role.is_some_and(|role| role.ends_with("-viewer"));
        let asked = self.config.text(strategy);
        let changes = |pointer| {
            let before = before.pointer(pointer);
            before.is_some_and(|before| *before != self.config.value(pointer))
        };
        Ok(changes(mode) || changes(strategy) || (!views && asked != "anonymous"))
    }

    /// Whether a ConfigMap that was there now says something else.
    async fn access(&self) -> Result<bool, String> {
        let (config, version) = (&self.config, &self.version);
        self.writer
            .put(objects::service_account(config, version))
            .await?;
        let map = self
            .writer
            .put(objects::config_map(config, version)?)
            .await?;
        self.writer
            .put(objects::cluster_role(config, version))
            .await?;
        self.writer
            .put(objects::cluster_role_binding(config, version))
            .await?;
        Ok(map == Written::Changed)
    }

    async fn server(&self, config_changed: bool) -> Result<(), String> {
        let (config, version) = (&self.config, &self.version);
        let remotes = self.remotes().await?;
        let mut wanted = deployment::deployment(config, version, &remotes, "");
        let mark = format!(
            "/spec/template/metadata/annotations/{}",
            deployment::LAST_UPDATED.replace('/', "~1")
        );
        let live = self.writer.get(&wanted).await?;
        let kept = live.as_ref().and_then(|l| l.data.pointer(&mark).cloned());
        if let Some(place) = wanted.pointer_mut(&mark) {
            *place = kept.unwrap_or_else(|| json!(date()));
        }
        self.writer.put(wanted.clone()).await?;
        self.writer.put(objects::service(config, version)).await?;
        if config.flag("/deployment/network_policy/enabled") {
            self.writer
                .put(objects::network_policy(config, version))
                .await?;
        }
        // After the template's own roll, if it had one: such a change rolls Kiali twice.
        if config_changed && live.is_some() {
            self.writer.patch(&wanted, &roll()).await?;
        }
        Ok(())
    }

    async fn remotes(&self) -> Result<Vec<Secret>, String> {
        if !self.config.flag("/clustering/autodetect_secrets/enabled") {
            return Ok(Vec::new());
        }
        let client = self.operator.container.client.clone();
        let secrets: Api<Secret> = Api::namespaced(client, &self.config.namespace);
        let label = self.config.text("/clustering/autodetect_secrets/label");
        let found = secrets.list(&ListParams::default().labels(label)).await;
        let mut found = found.map_err(|e| failed("retrieve requested", &e))?.items;
        found.retain(|s| s.metadata.name.as_deref() != Some(deployment::MULTI_CLUSTER_SECRET));
        Ok(found)
    }
}

/// The patch that restarts Kiali.
pub(super) fn roll() -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {deployment::LAST_UPDATED: date()}}}}})
}

/// Finer than the real one's seconds: its runs are never in the same second, these can be.
fn date() -> String {
    jiff::Timestamp::now().to_string()
}

fn random_key() -> Result<String, String> {
    use base64::Engine;
    use std::io::Read;
    let mut bytes = [0; 24];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    source.map_err(|e| e.to_string())?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
