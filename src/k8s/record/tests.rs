use super::*;
use crate::mesh::ClusterName;

#[test]
fn fault_47_a_record_of_200_clusters_stays_far_below_the_limit_of_an_object() {
    let party = |number: u32| Party {
        name: ClusterName::new(&format!("{}-{number}", "c".repeat(50))).unwrap(),
        uid: "d6f5c9b3-c413-4aa9-b9af-1a5ae15bb54d".into(),
        prometheus: None,
    };
    let record = Record {
        id: ownership::install_id("a", "kiali"),
        inventory: Inventory::default(),
        home: party(0),
        clusters: (0..200).map(party).collect(),
        state: Mutex::default(),
        saving: tokio::sync::Mutex::default(),
    };
    for number in 0..40 {
        let name = format!("{}-{number}", "n".repeat(60));
        let object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name, "namespace": "n".repeat(63), "uid": party(0).uid},
        });
        record.created(&object, &object);
    }
    let size = record.object("kiali").unwrap().to_string().len();
    assert!(size < 100_000, "{size} bytes");
}

#[test]
fn a_record_without_options_is_read_and_written_as_before() {
    let party = r#"{
    "name": "cluster1",
    "uid": "1"
  }"#;
    let before = format!(
        r#"{{
  "install": "0",
  "home": {party},
  "clusters": [],
  "objects": []
}}"#
    );
    let content: Content = serde_json::from_str(&before).unwrap();
    assert_eq!(content.options, Options::default());
    assert_eq!(serde_json::to_string_pretty(&content).unwrap(), before);
}

#[test]
fn whatever_a_record_says_is_read_or_refused() {
    let samples = [
        r#"{"install": "0123456789abcdef", "home": {"name": "cluster1", "uid": "u-1"}, "clusters":
            [{"name": "cluster1", "uid": "u-1"}, {"name": "cluster2", "uid": "u-2", "prometheus":
            "10.0.0.1:9090"}], "options": {"version": 1, "values": {"registry": "r.example.com/m"}},
            "accepts": {"issuer": "https://login.example.com", "clientId": "kiali"},
            "objects": [{"apiVersion": "v1", "kind": "ConfigMap", "namespace": "kiali", "name":
            "prometheus-config", "origin": "created", "uid": "u-3", "applied": "0123456789abcdef",
            "fields": "0123456789abcdef"}, {"apiVersion": "v1", "kind": "Namespace", "name": "kiali",
            "origin": "adopted"}]}"#,
        r#"{"install": "i", "home": {"name": "a", "uid": "b"}, "clusters": [], "objects": []}"#,
    ];
    crate::fuzz::fuzz("the record", &samples, |input| {
        if let Ok(content) = serde_json::from_slice::<Content>(input) {
            let _ = content.options.flags();
            for entry in content.objects {
                let _ = (entry.key.object(), entry.key.id().to_string());
            }
        }
    });
    let samples = [
        r#"{"version": 1, "values": {"registry": "r.example.com:5000/m", "image.kiali": "a/b:v1"}}"#,
        r#"{"version": 2, "values": {}}"#,
    ];
    crate::fuzz::fuzz("the options", &samples, |input| {
        if let Ok(options) = serde_json::from_slice::<Options>(input) {
            let _ = (options.flags(), options.is_default(), options.settings());
        }
    });
}
