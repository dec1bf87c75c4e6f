use super::*;

fn options() -> RenderOptions {
    let name = |name: &str| ClusterName::new(name).unwrap();
    let target = |cluster: &str, host: &str| {
        let address = Address::try_from(format!("{host}:9090")).unwrap();
        (name(cluster), address)
    };
    RenderOptions {
        home: name("east"),
        remotes: vec![name("west"), name("south")],
        namespace: "kiali".into(),
        settings: Settings::default(),
        targets: [
            target("east", "10.0.0.1"),
            target("west", "[fd00::1]"),
            target("south", "s.lb"),
        ]
        .into(),
        kustomize: false,
        rbac: false,
        store: None,
    }
}

fn parsed(files: &Files) -> impl Iterator<Item = (&String, Value)> {
    files
        .iter()
        .map(|(path, text)| (path, manifests::from_yaml(text).unwrap()))
}

#[test]
fn every_kind_is_ordered_and_no_file_overwrites_another() {
    let options = options();
    let files = files(&options).unwrap();
    let count = |cluster: &str| {
        files
            .keys()
            .filter(|path| path.starts_with(cluster))
            .count()
    };
    assert_eq!(
        [count("east/"), count("west/"), count("south/")],
        [21, 18, 18]
    );
    for (path, object) in parsed(&files) {
        assert!(ORDER.iter().any(|kind| object["kind"] == *kind), "{path}");
        let labels = object["metadata"]["labels"].to_string();
        assert!(
            !labels.contains("ambikiali"),
            "{path}: of an install: {labels}"
        );
    }
}

/// kubectl reads YAML 1.1, in which words such as `on` are booleans.
#[test]
fn no_text_is_a_boolean_to_kubectl() {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|item| texts(item, found)),
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                found.push(key.clone());
                texts(value, found);
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    parsed(&files(&options()).unwrap()).for_each(|(_, object)| texts(&object, &mut found));
    let words = ["y", "n", "yes", "no", "on", "off"];
    found.retain(|text| words.contains(&text.to_lowercase().as_str()));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_token_is_written_and_an_annotation_says_what_is_missing() {
    let files = files(&options()).unwrap();
    let text = &files["east/06-secret-kiali-kiali-multi-cluster-secret.yaml"];
    let secret: Value = manifests::from_yaml(text).unwrap();
    assert_eq!(secret.get("data"), None);
    let text = &secret["metadata"]["annotations"][PLACEHOLDER];
    assert_eq!(text, "add a kubeconfig to data for each of: west, south");
    let external = RenderOptions {
        store: Some("vault".into()),
        ..options()
    };
    let files = super::files(&external).unwrap();
    let text = &files["east/07-externalsecret-kiali-kiali-multi-cluster-secret.yaml"];
    let external: Value = manifests::from_yaml(text).unwrap();
    assert_eq!(external["apiVersion"], "external-secrets.io/v1");
    assert_eq!(external["spec"]["secretStoreRef"]["name"], "vault");
    let labels = json!({"labels": {"kiali.io/kiali-multi-cluster-secret": "true"}});
    let template = &external["spec"]["target"]["template"];
    assert_eq!(*template, json!({"type": "Opaque", "metadata": labels}));
    // Only an install makes certificates.
    let certificates: Value =
        manifests::from_yaml(&files["east/06-secret-kiali-prometheus-tls.yaml"]).unwrap();
    let text = &certificates["metadata"]["annotations"][PLACEHOLDER];
    assert_eq!(text, "ambikiali install fills in the certificates");
    let keys = external["spec"]["data"].as_array().unwrap();
    let keys = keys.iter().map(|one| one["secretKey"].as_str().unwrap());
    assert_eq!(keys.collect::<Vec<_>>(), ["west", "south"]);
    assert!(
        !files
            .keys()
            .any(|path| path.contains("-secret-kiali-kiali-multi"))
    );
}

#[test]
fn a_login_is_rendered_without_its_client_secret() {
    let asked = [
        ("auth", "openid"),
        ("oidc-issuer", "https://login.example.com"),
        ("oidc-client-id", "kiali"),
    ];
    let asked = asked.map(|(name, value)| (name.to_string(), value.to_string()));
    let chosen = crate::options::Options::default().choose(&asked.into());
    let login = RenderOptions {
        settings: chosen.unwrap().settings(),
        ..options()
    };
    let files = super::files(&login).unwrap();
    let secret: Value = manifests::from_yaml(&files["east/06-secret-kiali-kiali.yaml"]).unwrap();
    assert_eq!(
        (secret.get("data"), &secret["type"]),
        (None, &json!("Opaque"))
    );
    let text = &secret["metadata"]["annotations"][PLACEHOLDER];
    assert_eq!(
        text,
        "add the secret of client kiali to data as oidc-secret"
    );
    let cr: Value = manifests::from_yaml(&files["east/12-kiali-kiali-kiali.yaml"]).unwrap();
    let openid = json!({
        "client_id": "kiali", "disable_rbac": true, "issuer_uri": "https://login.example.com",
    });
    assert_eq!(
        cr["spec"]["auth"],
        json!({"strategy": "openid", "openid": openid})
    );
    let external = RenderOptions {
        store: Some("vault".into()),
        ..login
    };
    let stored = super::files(&external).unwrap();
    assert!(!stored.contains_key("east/06-secret-kiali-kiali.yaml"));
    let text = &stored["east/07-externalsecret-kiali-kiali.yaml"];
    let secret: Value = manifests::from_yaml(text).unwrap();
    let data = json!([
        {"secretKey": "oidc-secret", "remoteRef": {"key": "kiali", "property": "oidc-secret"}},
    ]);
    assert_eq!(secret["spec"]["data"], data);
    assert_eq!(
        secret["spec"]["target"],
        json!({"name": "kiali", "template": {"type": "Opaque"}})
    );
    // A remote has no login of its own.
    let remote: Value = manifests::from_yaml(&files["west/12-kiali-kiali-kiali.yaml"]).unwrap();
    assert_eq!(remote["spec"]["auth"], json!({"strategy": "anonymous"}));
}

#[test]
fn rbac_renders_only_what_a_namespace_admin_may_not_create() {
    let rbac = RenderOptions {
        rbac: true,
        targets: BTreeMap::new(),
        ..options()
    };
    let files = files(&rbac).unwrap();
    let of_west = files.keys().filter_map(|path| path.strip_prefix("west/"));
    assert_eq!(
        of_west.collect::<Vec<_>>(),
        [
            "00-namespace-kiali.yaml",
            "01-customresourcedefinition-kialis.kiali.io.yaml",
            "03-clusterrole-ambikiali-namespace-admin.yaml",
            "03-clusterrole-ambikiali-prometheus.yaml",
            "03-clusterrole-kiali-operator.yaml",
            "04-clusterrolebinding-ambikiali-prometheus.yaml",
            "04-clusterrolebinding-kiali-operator.yaml",
        ]
    );
}

#[test]
fn a_kustomization_lists_every_file() {
    let kustomize = RenderOptions {
        kustomize: true,
        ..options()
    };
    let files = files(&kustomize).unwrap();
    let all: Value = manifests::from_yaml(&files["west/kustomization.yaml"]).unwrap();
    assert_eq!(all["kind"], "Kustomization");
    assert_eq!(all["resources"].as_array().map(Vec::len), Some(18));
    assert_eq!(all["resources"][0], "00-namespace-kiali.yaml");
}

#[test]
fn each_cluster_needs_a_target_and_a_name_of_its_own() {
    let text = |options: &RenderOptions| files(options).unwrap_err().to_string();
    let mut without = options();
    without.targets.remove(&options().remotes[0]);
    assert_eq!(
        text(&without),
        "--target is missing for west; render contacts no cluster, so it cannot look up the address of a Gateway"
    );
    let mut same = options();
    same.remotes[1] = same.home.clone();
    assert_eq!(text(&same), "two clusters have the same name");
    let mut unknown = options();
    unknown.remotes.truncate(1);
    assert_eq!(text(&unknown), "--target south does not match any cluster");
}
