//! What the chart renders, and the manifests of kustomize.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use skidder::config::Config;

use super::tools::{kustomized, only, project, render, rendered, rendered_each, said, tool};

/// The environment of the agent's container.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "NODE_NAME" => "node-1",
        "NODE_IP" => "10.0.0.7",
        "ELASTICSEARCH_URL" => "https://elasticsearch:9200",
        _ => return None,
    };
    Some(value.into())
}

/// The configuration in the ConfigMap, as the agent would use it.
fn configuration(objects: &[Value]) -> Value {
    let text = only(objects, "ConfigMap")["data"]["skidder.yaml"].as_str().expect("skidder.yaml").to_owned();
    let config = Config::parse(&text, "the ConfigMap's skidder.yaml", &environment);
    serde_json::from_str(&config.unwrap_or_else(|error| panic!("{error}\n{text}")).to_json()).unwrap()
}

/// The spec of the DaemonSet's pods.
fn pod(objects: &[Value]) -> &Value {
    &only(objects, "DaemonSet")["spec"]["template"]["spec"]
}

/// Objects by kind and name, without what Helm alone adds.
fn plain(objects: &[Value]) -> BTreeMap<String, Value> {
    let strip = |object: &Value| {
        let mut object = object.clone();
        if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
            labels.retain(|name, _| name != "helm.sh/chart" && name != "app.kubernetes.io/managed-by");
        }
        // Compared by what the agent makes of it.
        object.as_object_mut().unwrap().remove("data");
        (format!("{} {}", object["kind"], object["metadata"]["name"]), object)
    };
    let of_tests = |object: &&Value| object["metadata"]["annotations"]["helm.sh/hook"] != "test";
    objects.iter().filter(of_tests).map(strip).collect()
}

#[test]
fn chart_and_manifests_say_the_same() {
    let (chart, base) = (rendered(&[]), kustomized("deploy/kustomize/base"));
    assert_eq!(configuration(&chart), configuration(&base));
    let (chart, base) = (plain(&chart), plain(&base));
    assert_eq!(chart.keys().collect::<Vec<_>>(), base.keys().collect::<Vec<_>>());
    for (name, object) in &chart {
        assert_eq!(object, &base[name], "{name}");
    }
    assert_eq!(chart.len(), 6, "{:?}", chart.keys());
}

/// What a security team reads first: of the chart, of the manifests, and of all choices.
fn assert_denied(objects: &[Value], may_raise: bool) {
    let pod = pod(objects);
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(matches!(pod[host], Value::Null | Value::Bool(false)), "{host}");
    }
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let agent = &pod["containers"][0];
    let init = &pod["initContainers"][0];
    assert_eq!(
        pod["containers"].as_array().unwrap().len() + pod["initContainers"].as_array().unwrap().len(),
        2
    );
    for (container, user) in [(agent, 65532), (init, 0)] {
        let mut context = container["securityContext"].clone();
        context.as_object_mut().unwrap().remove("seLinuxOptions");
        let raised = may_raise && user != 0;
        let mut capabilities = json!({ "drop": ["ALL"] });
        if raised {
            capabilities["add"] = json!(["DAC_READ_SEARCH"]);
        }
        let expected = json!({
            "runAsUser": user, "runAsGroup": 0, "runAsNonRoot": user != 0, "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": raised, "capabilities": capabilities,
        });
        assert_eq!(context, expected);
        for mount in container["volumeMounts"].as_array().unwrap() {
            assert_eq!(mount["readOnly"] != true, mount["name"] == "data", "{mount}");
        }
    }
    let folders = init["volumeMounts"].as_array().unwrap().iter().map(|mount| &mount["name"]);
    assert_eq!(folders.collect::<Vec<_>>(), ["config", "data"], "the init container sees no logs");
    let rules = &only(objects, "ClusterRole")["rules"];
    assert_eq!(rules.as_array().unwrap().len(), 1);
    assert_eq!(rules[0]["verbs"], json!(["get"]));
    assert_eq!(rules[0]["resources"].as_array().unwrap().len(), 1);
    assert!(agent["image"].as_str().unwrap().contains([':', '@']), "pinned");
}

#[test]
fn by_default_nothing_is_allowed_that_is_not_needed() {
    for objects in
        [rendered(&[]), kustomized("deploy/kustomize/base"), kustomized("deploy/kustomize/example")]
    {
        assert_denied(&objects, false);
        let pod = pod(&objects);
        assert_eq!(only(&objects, "ClusterRole")["rules"][0]["resources"], json!(["nodes/pods"]));
        let paths = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|volume| volume["hostPath"]["path"].as_str());
        assert_eq!(paths.collect::<Vec<_>>(), ["/var/lib/skidder", "/var/log"]);
        let config = configuration(&objects);
        assert_eq!(config["data_dir"], "/var/lib/skidder");
        assert_eq!(config["shutdown"]["timeout"], "25s");
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 25);
        let image = pod["containers"][0]["image"].as_str().unwrap();
        assert!(image.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))), "{image}");
    }
}

/// A choice, and what must come of it.
type Choice = (&'static [&'static str], fn(&[Value], &Value) -> bool);

const CHOICES: [Choice; 17] = [
    (&[r#"kubelet={"tls":"node-file"}"#], |objects, config| {
        let volume = json!({ "name": "kubelet", "hostPath": { "path": "/var/lib/kubelet/pki/kubelet.crt", "type": "File" } });
        config["kubernetes"]["kubelet"]["server_name"] == "node-1"
            && config["kubernetes"]["kubelet"]["ca_file"] == "/etc/kubelet.crt"
            && pod(objects)["volumes"].as_array().unwrap().contains(&volume)
    }),
    (&[r#"kubelet.tls="insecure""#], |_, config| {
        config["kubernetes"]["kubelet"]["insecure_skip_verify"] == true
    }),
    (&["kubelet.nodesProxy=true"], |objects, _| {
        only(objects, "ClusterRole")["rules"][0]["resources"] == json!(["nodes/proxy"])
    }),
    (&["docker.enabled=true"], |objects, _| {
        let volume = &pod(objects)["volumes"][3]["hostPath"]["path"];
        let mount = &pod(objects)["containers"][0]["volumeMounts"][3];
        volume == "/var/lib/docker/containers" && mount["mountPath"] == *volume && mount["readOnly"] == true
    }),
    (&["readAnyFile=true"], |_, _| true),
    (&["openshift.enabled=true"], |objects, _| {
        let scc = only(objects, "SecurityContextConstraints");
        scc["users"] == json!(["system:serviceaccount:logging:skidder"])
            && scc["allowPrivilegeEscalation"] == false
            && scc["requiredDropCapabilities"] == json!(["ALL"])
            && pod(objects)["containers"][0]["securityContext"]["seLinuxOptions"]["type"] == "spc_t"
    }),
    (&["podMonitor.enabled=true", r#"podMonitor.labels={"release":"prometheus"}"#], |objects, _| {
        let monitor = only(objects, "PodMonitor");
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        let labels = &only(objects, "DaemonSet")["spec"]["template"]["metadata"]["labels"];
        monitor["metadata"]["labels"]["release"] == "prometheus"
            && (&endpoint["port"], &endpoint["path"]) == (&json!("http"), &json!("/metrics"))
            && pod(objects)["containers"][0]["ports"][0]["name"] == "http"
            && monitor["spec"]["selector"]["matchLabels"] == *labels
    }),
    (
        &[
            "networkPolicy.enabled=true",
            r#"elasticsearch.urls=["https://a:9243/es","https://b","http://c/x"]"#,
        ],
        |objects, _| {
            let policy = only(objects, "NetworkPolicy");
            let ports = policy["spec"]["egress"][0]["ports"].as_array().unwrap();
            let ports: Vec<_> = ports.iter().map(|port| port["port"].as_u64().unwrap()).collect();
            policy["spec"]["ingress"][0]["from"].is_null() && ports == [53, 53, 10250, 9243, 443, 80]
        },
    ),
    (&[r#"elasticsearch={"auth":"password","username":"skidder"}"#], |objects, config| {
        let secret = &pod(objects)["volumes"][0]["projected"]["sources"][1]["secret"]["items"][0]["key"];
        config["output"]["elasticsearch"]["password_file"] == "/etc/skidder/password" && secret == "password"
    }),
    (&[r#"elasticsearch.auth="none""#], |objects, config| {
        config["output"]["elasticsearch"]["api_key_file"].is_null()
            && pod(objects)["volumes"][0]["projected"]["sources"].as_array().unwrap().len() == 1
    }),
    (&[r#"elasticsearch.ca.secret="quickstart-es-http-certs-public""#], |objects, config| {
        let source = &pod(objects)["volumes"][0]["projected"]["sources"][2]["secret"];
        config["output"]["elasticsearch"]["tls"]["ca_file"] == "/etc/skidder/ca.crt"
            && source["name"] == "quickstart-es-http-certs-public"
    }),
    (
        &[r#"config={"output":{"elasticsearch":{"retention":"30d","api_key_file":null,"api_key":"a:b"}}}"#],
        |_, config| {
            let output = &config["output"]["elasticsearch"];
            output["retention"] == "30d" && output["api_key_file"].is_null() && output["api_key"] == "***"
        },
    ),
    (&[r#"config={"output":{"elasticsearch":null,"stdout":{"format":"json"}}}"#], |_, config| {
        config["output"]["stdout"]["format"] == "json"
    }),
    (
        &[
            r#"extraEnv=[{"name":"ELASTICSEARCH_URL","value":"https://elasticsearch:9200"}]"#,
            r#"elasticsearch.urls=["${ELASTICSEARCH_URL}"]"#,
        ],
        |objects, config| {
            pod(objects)["initContainers"][0]["env"][2]["name"] == "ELASTICSEARCH_URL"
                && config["output"]["elasticsearch"]["urls"] == json!(["https://elasticsearch:9200"])
        },
    ),
    (&[r#"priorityClass={"create":false,"name":"system-node-critical"}"#], |objects, _| {
        !objects.iter().any(|object| object["kind"] == "PriorityClass")
            && pod(objects)["priorityClassName"] == "system-node-critical"
    }),
    (
        &[r#"image.digest="sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef""#],
        |objects, _| pod(objects)["containers"][0]["image"].as_str().unwrap().contains("skidder@sha256:0123"),
    ),
    (&["terminationGracePeriodSeconds=90", r#"config={"shutdown":{"timeout":"60s"}}"#], |objects, config| {
        config["shutdown"]["timeout"] == "1m" && pod(objects)["terminationGracePeriodSeconds"] == 90
    }),
];

#[test]
fn each_choice_renders_what_it_says() {
    let rendered = rendered_each(&CHOICES.map(|(values, _)| values));
    for ((values, holds), objects) in CHOICES.iter().zip(rendered) {
        assert_denied(&objects, values.contains(&"readAnyFile=true"));
        assert!(holds(&objects, &configuration(&objects)), "{values:?}: {objects:#?}");
    }
}

#[test]
fn all_choices_at_once_lint_and_validate() {
    let values = [
        r#"kubelet.tls="node-file""#,
        "docker.enabled=true",
        "readAnyFile=true",
        "openshift.enabled=true",
        "podMonitor.enabled=true",
        "networkPolicy.enabled=true",
        r#"networkPolicy.from=[{"namespaceSelector":{"matchLabels":{"team":"monitoring"}}}]"#,
        r#"imagePullSecrets=[{"name":"registry"}]"#,
        r#"podLabels={"team":"platform"}"#,
        r#"podAnnotations={"team":"platform"}"#,
        r#"serviceAccount.annotations={"team":"platform"}"#,
        r#"affinity={"nodeAffinity":{}}"#,
    ];
    let objects = rendered(&values);
    assert_denied(&objects, true);
    assert_eq!(objects.len(), 10);
    let mut arguments = vec!["lint", "--strict", "deploy/helm/skidder"];
    values.iter().for_each(|value| arguments.extend(["--set-json", value]));
    said(tool("helm", &arguments)).unwrap();
}

#[test]
fn two_releases_do_not_share_what_has_no_namespace() {
    let other = ["template", "logs", "deploy/helm/skidder", "--namespace", "shop"];
    let other = super::tools::objects(&[said(tool("helm", &other)).unwrap()]).remove(0);
    let named = |objects: &[Value]| -> Vec<String> {
        let without = objects.iter().filter(|object| object["metadata"]["namespace"].is_null());
        without.map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect()
    };
    let (first, second) = (named(&rendered(&[])), named(&other));
    assert_eq!((first.len(), second.len()), (3, 3));
    assert!(first.iter().all(|name| !second.contains(name)), "{first:?} {second:?}");
}

#[test]
fn the_tests_pod_is_no_pod_of_the_daemonset() {
    let objects = rendered(&[]);
    let test = only(&objects, "Pod");
    let selector = only(&objects, "DaemonSet")["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selector.iter().any(|(name, value)| test["metadata"]["labels"][name] != *value));
    let (check, agent) = (&test["spec"]["containers"][0], &pod(&objects)["containers"][0]);
    for same in ["image", "env", "securityContext", "volumeMounts"] {
        assert_eq!(check[same], agent[same], "{same}");
    }
}

/// Values that make no sense, and a word of the error.
const NONSENSE: [(&str, &str); 34] = [
    (r#"elasticserach={"urls":["https://a:9200"]}"#, "elasticserach"),
    (r#"image.tag="latest""#, "/image/tag"),
    (r#"image.tag="not a tag""#, "/image/tag"),
    (r#"image.digest="sha256:12""#, "/image/digest"),
    (r#"image.repository="Registry/Skidder""#, "/image/repository"),
    (r#"image.pullPolicy="Sometimes""#, "/image/pullPolicy"),
    ("elasticsearch.urls=[]", "/elasticsearch/urls"),
    (r#"elasticsearch.urls=["elasticsearch:9200"]"#, "/elasticsearch/urls/0"),
    (r#"elasticsearch.urls=["https://user:password@elasticsearch:9200"]"#, "/elasticsearch/urls/0"),
    (r#"elasticsearch.urls="https://elasticsearch:9200""#, "/elasticsearch/urls"),
    (r#"elasticsearch.auth="apikey""#, "/elasticsearch/auth"),
    (r#"elasticsearch.auth="password""#, "/elasticsearch/username"),
    (r#"elasticsearch.apiKey="secret""#, "apiKey"),
    (r#"elasticsearch.secret="""#, "/elasticsearch/secret"),
    (r#"config={"outputs":{}}"#, "outputs"),
    (r#"config={"data_dir":"/data"}"#, "/config/data_dir"),
    (r#"config={"http":{"listen":"0.0.0.0:80"}}"#, "/config/http/listen"),
    (r#"config={"files":{"include":[]}}"#, "/config/files"),
    (r#"config={"shutdown":{"timeout":"30s"}}"#, "terminationGracePeriodSeconds"),
    ("terminationGracePeriodSeconds=25", "/terminationGracePeriodSeconds"),
    (r#"kubelet.tls="none""#, "/kubelet/tls"),
    (r#"kubelet.nodesProxy="yes""#, "/kubelet/nodesProxy"),
    (r#"kubelet.nodeFile="kubelet.crt""#, "/kubelet/nodeFile"),
    (r#"dataDir="/var/log/skidder""#, "/dataDir"),
    (r#"dataDir="/var/lib""#, "/dataDir"),
    (r#"dataDir="/data/../etc""#, "/dataDir"),
    (r#"resources.limits.memory="lots""#, "/resources/limits/memory"),
    ("updateStrategy.maxUnavailable=0", "/updateStrategy/maxUnavailable"),
    (r#"updateStrategy.maxUnavailable="110%""#, "/updateStrategy/maxUnavailable"),
    ("minReadySeconds=-1", "/minReadySeconds"),
    (r#"priorityClass.name="system-node-critical""#, "/priorityClass/name"),
    (r#"extraEnv=[{"name":"NODE_NAME","value":"x"}]"#, "/extraEnv/0/name"),
    (r#"extraEnv=[{"name":"A"}]"#, "/extraEnv/0"),
    (r#"securityContext={"privileged":true}"#, "securityContext"),
];

#[test]
fn values_that_make_no_sense_are_refused() {
    for (value, word) in NONSENSE {
        let refused = render(&[value]).expect_err(value);
        assert!(refused.contains(word), "{value}: {refused}");
    }
}

/// What `helm install` would say at its end. It says it with a cluster alone, so a copy of the chart renders it as an
/// object.
fn notes(values: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(project().join("deploy/helm/skidder")).arg(folder.path());
    assert!(copy.status().expect("cp").success());
    let templates = folder.path().join("skidder/templates");
    let text = fs::read_to_string(templates.join("NOTES.txt")).unwrap();
    fs::write(templates.join("_notes.tpl"), format!("{{{{- define \"notes\" -}}}}{text}{{{{- end -}}}}"))
        .unwrap();
    let object = r#"{{ dict "kind" "Notes" "apiVersion" "v1" "text" (include "notes" .) | toJson }}"#;
    fs::write(templates.join("notes.yaml"), object).unwrap();
    let chart = folder.path().join("skidder").display().to_string();
    let mut arguments = vec!["template", "skidder", &chart, "--show-only", "templates/notes.yaml"];
    arguments.extend(values.iter().flat_map(|value| ["--set-json", value]));
    said(tool("helm", &arguments)).unwrap()
}

#[test]
fn the_notes_name_what_is_dangerous_and_what_is_missing() {
    let default = notes(&["docker.enabled=false"]);
    assert!(default.contains("create secret generic skidder --from-literal=api-key="), "{default}");
    assert!(default.contains("skidder status") && !default.contains("WARNING"), "{default}");
    assert!(notes(&["kubelet.nodesProxy=true"]).contains("run commands in every container"));
    assert!(notes(&[r#"kubelet.tls="insecure""#]).contains("not verified"));
}

#[test]
fn the_chart_has_the_programs_version() {
    let chart = said(tool("helm", &["show", "chart", "deploy/helm/skidder"])).unwrap();
    assert!(chart.contains(concat!("appVersion: ", env!("CARGO_PKG_VERSION"), "\n")), "{chart}");
}
