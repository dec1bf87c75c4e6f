use super::*;

fn deployment(spec: Value) -> Value {
    json!({"kind": "Deployment", "spec": {"template": {"spec": spec}}})
}

fn said(more: &[(&str, Value)]) -> Vec<String> {
    let wanted = deployment(json!({
        "hostNetwork": false,
        "containers": [{"name": "a", "image": "good", "args": ["x"], "env": [{"name": "E", "value": "1"}]}],
        "volumes": [{"name": "v", "configMap": {"name": "c"}}],
    }));
    let mut got = wanted.clone();
    for (pointer, value) in more {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let at = got
            .pointer_mut(&format!("/spec/template/spec{parent}"))
            .unwrap();
        match at.as_array_mut() {
            Some(list) => list.push(value.clone()),
            None => at[key] = value.clone(),
        }
    }
    let all = changed(&wanted, &got);
    all.iter()
        .map(|path| path.to_string().replacen(POD, "", 1))
        .collect()
}

#[test]
fn what_runs_otherwise_is_named() {
    for (pointer, value, field) in [
        ("/containers/0/image", json!("evil"), ".containers[a].image"),
        (
            "/containers/0/args",
            json!(["x", "y"]),
            ".containers[a].args",
        ),
        (
            "/containers/0/command",
            json!(["sh"]),
            ".containers[a].command",
        ),
        (
            "/containers/0/env/-",
            json!({"name": "F", "value": "2"}),
            ".containers[a].env[F]",
        ),
        ("/containers/0/env", json!([]), ".containers[a].env[E]"),
        (
            "/containers/0/securityContext",
            json!({"privileged": true}),
            ".containers[a].securityContext",
        ),
        (
            "/containers/0/securityContext",
            json!({"capabilities": {"add": ["SYS_ADMIN"]}}),
            ".containers[a].securityContext",
        ),
        (
            "/containers/-",
            json!({"name": "b", "image": "evil"}),
            ".containers[b]",
        ),
        ("/initContainers", json!([{"name": "b"}]), ".initContainers"),
        (
            "/volumes/-",
            json!({"name": "h", "hostPath": {"path": "/"}}),
            ".volumes[h]",
        ),
        (
            "/volumes/-",
            json!({"name": "kube-api-access-1", "hostPath": {"path": "/"}}),
            ".volumes[kube-api-access-1]",
        ),
        (
            "/volumes/-",
            json!({"name": "kube-api-access-1", "projected": {"sources": [{"secret": {"name": "s"}}]}}),
            ".volumes[kube-api-access-1]",
        ),
        ("/containers/0/args", json!([]), ".containers[a].args"),
        (
            "/hostAliases",
            json!([{"ip": "192.0.2.1", "hostnames": ["a"]}]),
            ".hostAliases",
        ),
        ("/hostPID", json!(true), ".hostPID"),
        ("/hostNetwork", json!(true), ".hostNetwork"),
        ("/serviceAccountName", json!("admin"), ".serviceAccountName"),
    ] {
        assert_eq!(said(&[(pointer, value)]), [field]);
    }
}

#[test]
fn what_no_longer_restricts_a_container_is_named() {
    let of = |context: Value| {
        deployment(json!({"containers": [{"name": "a", "securityContext": context}]}))
    };
    let wanted = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    for (got, field) in [
        (
            json!({"allowPrivilegeEscalation": true, "capabilities": {"drop": ["ALL"]}}),
            ".securityContext.allowPrivilegeEscalation",
        ),
        (
            json!({"allowPrivilegeEscalation": false}),
            ".securityContext.capabilities",
        ),
        (
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
            ".securityContext.capabilities.add",
        ),
        (Value::Null, ".securityContext"),
    ] {
        let all = changed(&of(wanted.clone()), &of(got));
        let all = all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(all, [format!("{POD}.containers[a]{field}")]);
    }
}

#[test]
fn what_servers_and_platforms_add_to_all_pods_is_no_news() {
    let token = "/var/run/secrets/kubernetes.io/serviceaccount";
    let mount = json!([{"name": "kube-api-access-1", "mountPath": token, "readOnly": true}]);
    let drop = json!({"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": false});
    let all = [
        (
            "/volumes/-",
            json!({"name": "kube-api-access-1", "projected": {"sources": []}}),
        ),
        ("/containers/0/securityContext", drop),
        ("/containers/0/imagePullPolicy", json!("Always")),
        ("/containers/0/resources", json!({"limits": {"cpu": "1"}})),
        ("/tolerations", json!([{"operator": "Exists"}])),
        ("/priority", json!(0)),
        ("/dnsPolicy", json!("ClusterFirst")),
    ];
    assert_eq!(said(&all), [""; 0]);
    let template = json!({"spec": {"containers": [{"name": "a"}]}});
    let pod = json!({"spec": {
        "serviceAccountName": "default",
        "volumes": [{"name": "kube-api-access-1", "projected": {"sources": []}}],
        "containers": [{"name": "a", "volumeMounts": mount}],
    }});
    assert_eq!(changed_pod(&template, &pod), [""; 0]);
    let pod = json!({"spec": {"containers": [{"name": "a", "image": "evil"}]}});
    assert_eq!(changed_pod(&template, &pod), [".spec.containers[a].image"]);
}

#[test]
fn of_other_objects_what_gives_rights_or_serves_counts() {
    let of = |kind: &str, part: &str, wanted: Value, got: Value| {
        let object = |value: Value| json!({"kind": kind, "metadata": {"name": "x"}, part: value});
        let all = changed(&object(wanted), &object(got));
        all.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (wanted, got) = (json!({"a": {"b": 1}}), json!({"a": {"b": 2, "c": 3}}));
    assert_eq!(of("Kiali", "spec", wanted, got), [".spec.a.b", ".spec.a.c"]);
    let (wanted, got) = (json!({"a": "1"}), json!({"a": "1", "b": "2"}));
    assert_eq!(
        of("ConfigMap", "data", wanted.clone(), got.clone()),
        [".data.b"]
    );
    assert_eq!(
        of("Secret", "data", wanted.clone(), got.clone()),
        [".data.b"]
    );
    assert_eq!(of("Service", "data", wanted, got), [""; 0]);
    let wanted = json!({"ports": [{"name": "http", "port": 1}]});
    let mut got = wanted.clone();
    got["ports"][0]["protocol"] = json!("TCP");
    got["internalTrafficPolicy"] = json!("Local");
    assert_eq!(of("Service", "spec", wanted.clone(), got.clone()), [""; 0]);
    got["type"] = json!("LoadBalancer");
    assert_eq!(of("Service", "spec", wanted, got), [".spec.type"]);
    let wanted = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let mut got = wanted.clone();
    got[0]["verbs"] = json!(["get", "delete"]);
    let changed = of("ClusterRole", "rules", wanted.clone(), got);
    assert_eq!(changed, [".rules[0].verbs"]);
    let got = json!([wanted[0], {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    assert_eq!(of("ClusterRole", "rules", wanted, got), [".rules"]);
    let filters = json!([{"type": "RequestMirror"}]);
    let (wanted, got) = (
        json!({"rules": [{}]}),
        json!({"rules": [{"filters": filters}]}),
    );
    assert_eq!(
        of("HTTPRoute", "spec", wanted, got),
        [".spec.rules[0].filters"]
    );
    let account = |token: bool| {
        let token = json!(token);
        of(
            "ServiceAccount",
            "automountServiceAccountToken",
            json!(null),
            token,
        )
    };
    assert_eq!(account(true), [".automountServiceAccountToken"]);
    assert_eq!(account(false), [""; 0]);
}
