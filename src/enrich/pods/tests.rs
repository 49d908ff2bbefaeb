//! The answers of a real kubelet, and odd ones.

use super::*;

fn recorded(name: &str) -> Pods {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubelet").join(name);
    Pods::parse(std::fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn a_deployments_pod() {
    let pods = recorded("pods.json");
    assert_eq!(pods.len(), 4);
    let pod = pods.get("827ea626-4087-4bd8-83dd-94f45392d429").unwrap();
    assert_eq!((pod.namespace.as_str(), pod.name.as_str()), ("shop", "checkout-5d8f7c9b6d-x7k2p"));
    assert_eq!((pod.node.as_str(), pod.ip.as_str()), ("lab-node", "192.0.2.2"));
    assert_eq!(pod.labels["app.kubernetes.io/name"], "checkout");
    assert_eq!(pod.annotations["note"], "a \"quoted\" value, a tab\t and \u{fc}nïcode");
    assert_eq!(pod.owner, Some(("ReplicaSet".to_owned(), "checkout-5d8f7c9b6d".to_owned())));
    let names: Vec<_> = pod.containers.keys().map(String::as_str).collect();
    assert_eq!(names, ["exporter", "migrate", "web"], "init containers too");
    assert!(pod.containers["web"].id.starts_with("containerd://de77a713c4e5"));
}

#[test]
fn a_static_pod_has_the_uid_of_its_path() {
    let pods = recorded("pods-standalone.json");
    let pod = pods.get("a6df84ea54927ccbcc68b89cc47d1be8").unwrap();
    assert_eq!((pod.ip.as_str(), &pod.owner), ("", &None));
    assert_eq!(pod.containers["boom"].restarts, 20);
}

#[test]
fn the_specs_image_counts_where_the_status_has_a_digest() {
    let pods = recorded("pods.json");
    let agent = &pods.get("ebcf09ac7e9dd74ad84c9ad754d285a1").unwrap().containers["agent"];
    assert_eq!(agent.image, "lab.local/busybox:1");
    assert!(agent.image_id.starts_with("sha256:f42683a2"));
}

#[test]
fn a_pending_pod_has_its_labels_before_its_ids() {
    let pods = recorded("pods-pending.json");
    let pod = pods.get("827ea626-4087-4bd8-83dd-94f45392d429").unwrap();
    assert_eq!(pod.labels["app"], "checkout");
    assert_eq!(
        (pod.containers["web"].id.as_str(), pod.containers["web"].image.as_str()),
        ("", "lab.local/busybox:1")
    );
}

#[test]
fn what_is_written_reads_the_same() {
    for name in ["pods.json", "pods-standalone.json", "pods-pending.json"] {
        let pods = recorded(name);
        let mut text = Vec::new();
        pods.write(&mut text).unwrap();
        assert_eq!(Pods::parse(&text[..]).unwrap(), pods, "{name}");
    }
}

#[test]
fn odd_answers() {
    for (text, expected) in [
        (r#"{"items":[]}"#, Ok(0)),
        (r#"{"kind":"PodList","items":null,"metadata":{}}"#, Ok(0)),
        (r#"{"items":[{"metadata":{"name":"no-uid"}}]}"#, Ok(0)),
        (r#"{"items":[{"metadata":{"uid":"u","labels":null,"ownerReferences":null}}]}"#, Ok(1)),
        (r#"{"items":[{"spec":{"containers":null},"status":{"new":[{}]},"metadata":{"uid":"u"}}]}"#, Ok(1)),
        (r#"{"kind":"Status","message":"no"}"#, Err("is no list of pods: missing field `items`")),
        (r#"{"items":[{"metadata":{"uid":"u"#, Err("is no list of pods: EOF")),
        ("<html>", Err("is no list of pods: expected value")),
        ("", Err("is no list of pods: EOF")),
    ] {
        match (Pods::parse(text.as_bytes()), expected) {
            (Ok(pods), Ok(count)) => assert_eq!(pods.len(), count, "{text}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (result, _) => panic!("{text}: {result:?}"),
        }
    }
}

#[test]
fn only_the_controlling_owner_counts() {
    let text = r#"{"items":[{"metadata":{"uid":"u","ownerReferences":[
        {"kind":"ConfigMap","name":"c"},{"kind":"Job","name":"j","controller":true}]}}]}"#;
    let pods = Pods::parse(text.as_bytes()).unwrap();
    assert_eq!(pods.get("u").unwrap().owner, Some(("Job".to_owned(), "j".to_owned())));
}

#[test]
fn ephemeral_containers_too() {
    let text = r#"{"items":[{"metadata":{"uid":"u"},
        "spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox"}]},
        "status":{"ephemeralContainerStatuses":[{"name":"debugger","containerID":"cri-o://9"}]}}]}"#;
    let pods = Pods::parse(text.as_bytes()).unwrap();
    let debugger = &pods.get("u").unwrap().containers["debugger"];
    assert_eq!((debugger.image.as_str(), debugger.id.as_str()), ("busybox", "cri-o://9"));
}

#[test]
fn long_texts_are_not_kept() {
    let long = "x".repeat(MAX_TEXT + 1);
    let many: Vec<_> = (0..100).map(|index| format!(r#""k{index:03}":"{}""#, "y".repeat(1_000))).collect();
    let text = format!(
        r#"{{"items":[{{"metadata":{{"uid":"u","labels":{{"app":"a","l":"{long}","{long}":"v"}},
            "annotations":{{{}}}}}}}]}}"#,
        many.join(",")
    );
    let pods = Pods::parse(text.as_bytes()).unwrap();
    let pod = pods.get("u").unwrap();
    assert_eq!(pod.labels.len(), 1);
    let kept: usize = pod.annotations.iter().map(|(key, text)| key.len() + text.len()).sum();
    assert!(kept <= MAX_TEXTS && kept > MAX_TEXTS - 2_000, "{kept}");
}

#[test]
fn a_mirror_is_known_by_the_uid_of_its_static_pod() {
    let item = |uid: &str, hash: &str, mirror: &str, app: &str| {
        format!(
            r#"{{"metadata":{{"uid":"{uid}","labels":{{"app":"{app}"}},
                "annotations":{{"kubernetes.io/config.hash":"{hash}"{mirror}}}}}}}"#
        )
    };
    let mirror = r#","kubernetes.io/config.mirror":"x""#;
    let parse =
        |items: &[String]| Pods::parse(format!(r#"{{"items":[{}]}}"#, items.join(",")).as_bytes()).unwrap();
    let pods = parse(&[item("api-uid", "a6df84ea", mirror, "mirror")]);
    assert_eq!(pods.get("a6df84ea").unwrap().uid, "a6df84ea", "the uid of the path");
    assert_eq!(pods.len(), 1);
    // Whatever the order, a mirror takes no other pod's place; and an annotation alone makes no mirror.
    let (own, other) = (item("a6df84ea", "a6df84ea", "", "own"), item("u", "a6df84ea", mirror, "mirror"));
    for items in [[own.clone(), other.clone()], [other, own]] {
        assert_eq!(parse(&items).get("a6df84ea").unwrap().labels["app"], "own");
    }
    assert!(parse(&[item("u", "a6df84ea", "", "x")]).get("a6df84ea").is_none());
}

#[test]
fn a_container_is_settled_when_its_own_id_is_known() {
    let text = r#"{"items":[{"metadata":{"uid":"u"},"status":{"containerStatuses":[
        {"name":"boom","containerID":"containerd://2","restartCount":2},{"name":"new"}]}}]}"#;
    let pods = Pods::parse(text.as_bytes()).unwrap();
    let settled = |uid: &str, container: &str, instance: u32, linked: bool| {
        pods.is_settled(&Origin::Pod {
            namespace: String::new(),
            pod: String::new(),
            uid: uid.to_owned(),
            container: container.to_owned(),
            instance,
            container_id: linked.then(|| "3".to_owned()),
        })
    };
    assert!(settled("u", "boom", 2, false) && settled("u", "boom", 1, false));
    assert!(!settled("u", "boom", 3, false), "the kubelet still tells of the instance before");
    assert!(settled("u", "boom", 3, true), "the link tells the id");
    assert!(!settled("u", "new", 0, true) && !settled("other", "boom", 0, true));
}

#[test]
fn the_instance_before_has_an_id_of_its_own_and_keeps_it_over_a_restart() {
    let text = r#"{"items":[{"metadata":{"uid":"u"},"status":{"containerStatuses":[
        {"name":"boom","containerID":"containerd://2","restartCount":2,
         "lastState":{"terminated":{"exitCode":1,"containerID":"containerd://1"}}},
        {"name":"first","containerID":"containerd://3","lastState":{}},
        {"name":"odd","containerID":"containerd://4","lastState":{"running":{}}}]}}]}"#;
    let pods = Pods::parse(text.as_bytes()).unwrap();
    let mut written = Vec::new();
    pods.write(&mut written).unwrap();
    for pods in [pods, Pods::parse(&*written).unwrap()] {
        let former = |name: &str| pods.get("u").unwrap().containers[name].former_id.clone();
        assert_eq!(["boom", "first", "odd"].map(former), ["containerd://1", "", ""]);
    }
}
