//! Golden documents, and a judge that knows what Elasticsearch refuses.
//!
//! `SKIDDER_BLESS=1` writes the golden files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use super::judge::judge;
use super::*;
use crate::enrich::pods::Pods;
use crate::event::{ContainerMeta, Position, Span, TargetKind};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Compares with a golden file, or writes it when blessed.
fn golden(name: &str, actual: &str) {
    let path = data(name);
    if std::env::var_os("SKIDDER_BLESS").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected, "{name}");
    }
    assert_eq!(actual.len(), expected.len(), "{name}: SKIDDER_BLESS=1 writes it anew");
}

pub(super) fn settings(schema: Schema, json: JsonMode) -> DocumentSettings {
    DocumentSettings {
        schema,
        json,
        labels: globs(&["*"]).unwrap(),
        annotations: globs::<&str>(&[]).unwrap(),
        dedot: true,
        add_fields: Map::new(),
        node_name: "node-1".to_owned(),
    }
}

fn event(message: &[u8]) -> Event<'_> {
    Event {
        span: Span { start: Position { generation: 0, offset: 4711 }, end: Position::default() },
        ..Event::line(b"2026-11-22T10:00:00.123456789Z", Stream::Stdout, message)
    }
}

fn target() -> Target {
    Target {
        name: "logs-kubernetes.container_logs-default".to_owned(),
        kind: TargetKind::DataStream,
        pipeline: String::new(),
    }
}

/// An instance of the container `c` of the pod `web`, with the id that its link tells.
fn web(instance: u32, linked: Option<&str>) -> Origin {
    Origin::Pod {
        namespace: "shop".to_owned(),
        pod: "web".to_owned(),
        uid: "u".to_owned(),
        container: "c".to_owned(),
        instance,
        container_id: linked.map(str::to_owned),
    }
}

fn file<'a>(path: &'a str, target: &'a Target) -> Subject<'a> {
    Subject {
        origin: &Origin::File,
        pod: None,
        docker: None,
        path,
        target: Some(target),
        metadata: Metadata::NotKubernetes,
        json: None,
    }
}

fn render(template: &Template, event: &Event<'_>) -> String {
    let mut out = Vec::new();
    template.render(event, &mut Scratch::default(), &mut out);
    let document = String::from_utf8(out).unwrap();
    assert_eq!(document.matches('\n').count(), 1, "one line: {document}");
    document
}

/// One message of `messages.ndjson`: as it is, or of parts with how often each stands there.
#[derive(Deserialize)]
struct Case {
    name: String,
    message: Option<String>,
    #[serde(default)]
    parts: Vec<(String, usize)>,
}

fn cases() -> Vec<(String, String)> {
    let text = fs::read_to_string(data("json/messages.ndjson")).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str::<Case>(line).unwrap());
    let whole = |parts: &[(String, usize)]| parts.iter().map(|(part, times)| part.repeat(*times)).collect();
    cases.map(|case| (case.name, case.message.unwrap_or_else(|| whole(&case.parts)))).collect()
}

/// Long runs of a character shown as `x{1000}`, long documents cut.
fn shorten(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut run = 1;
        while rest.next_if_eq(&c).is_some() {
            run += 1;
        }
        match run {
            1..20 => (0..run).for_each(|_| out.push(c)),
            _ => write!(out, "{c}{{{run}}}").unwrap(),
        }
    }
    match out.char_indices().nth(900) {
        Some((end, _)) => format!("{}…{} bytes", &out[..end], text.len()),
        None => out,
    }
}

#[test]
fn nasty_json_is_made_safe_or_left_text() {
    let cases = cases();
    assert!(cases.len() >= 60);
    let target = target();
    for (mode, name) in [(JsonMode::Nested, "nested"), (JsonMode::Merge, "merge"), (JsonMode::Off, "off")] {
        let template = Template::new(&settings(Schema::Ecs, mode), &file("/x.log", &target));
        let mut all = String::new();
        for (case, message) in &cases {
            let document = render(&template, &event(message.as_bytes()));
            judge(&document, mode).unwrap_or_else(|refusal| panic!("{name}, {case}: {refusal}\n{document}"));
            let own = document.replacen(r#"{"@timestamp":"2026-11-22T10:00:00.123456789Z","#, "", 1);
            let own = own.replacen(
                r#","host":{"name":"node-1"},"data_stream":{"type":"logs","dataset":"kubernetes.container_logs","namespace":"default"},"ecs":{"version":"8.11.0"}}"#,
                "",
                1,
            );
            let own = own.replacen(
                r#","stream":"stdout","log":{"file":{"path":"/x.log"},"offset":4711"#,
                " log:{",
                1,
            );
            writeln!(all, "{case}: {}", shorten(own.trim_end())).unwrap();
        }
        golden(&format!("json/{name}.golden"), &all);
    }
}

#[test]
fn random_json_is_made_safe_or_left_text() {
    let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    println!("SKIDDER_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let cases = cases();
    let target = target();
    let templates = [JsonMode::Nested, JsonMode::Merge]
        .map(|mode| (mode, Template::new(&settings(Schema::Ecs, mode), &file("/x.log", &target))));
    for _ in 0..3_000 {
        let (_, message) = &cases[random.usize(..cases.len())];
        let (_, other) = &cases[random.usize(..cases.len())];
        if message.len() + other.len() > 5_000 {
            continue;
        }
        let mut bytes = message.clone().into_bytes();
        for _ in 0..random.usize(..4) {
            let at = random.usize(..=bytes.len());
            match random.u8(..4) {
                0 if at < bytes.len() => drop(bytes.remove(at)),
                1 => bytes.insert(at, random.choice(*b"\"\\{}[]:,.01e \xff\x00an").unwrap()),
                2 => drop(bytes.splice(at..at, other.bytes())),
                _ => bytes.truncate(at.max(1)),
            }
        }
        for (mode, template) in &templates {
            let document = render(template, &event(&bytes));
            judge(&document, *mode).unwrap_or_else(|refusal| {
                panic!("{refusal}\n{}\n{document}", String::from_utf8_lossy(&bytes))
            });
        }
    }
}

#[test]
fn documents_of_the_recorded_pods() {
    let pods = Pods::parse(fs::File::open(data("kubelet/pods.json")).unwrap()).unwrap();
    let target = target();
    for (schema, name) in [(Schema::Ecs, "ecs"), (Schema::Fluentd, "fluentd")] {
        let mut all = String::new();
        let mut sorted: Vec<_> = pods.iter().collect();
        sorted.sort_by(|one, other| one.name.cmp(&other.name));
        for pod in sorted {
            for (container, meta) in &pod.containers {
                for (metadata, pod_meta) in [(Metadata::Full, Some(&**pod)), (Metadata::PathOnly, None)] {
                    let origin = Origin::Pod {
                        namespace: pod.namespace.clone(),
                        pod: pod.name.clone(),
                        uid: pod.uid.clone(),
                        container: container.clone(),
                        instance: meta.restarts,
                        container_id: None,
                    };
                    let path = format!(
                        "/var/log/pods/{}_{}_{}/{container}/{}.log",
                        pod.namespace, pod.name, pod.uid, meta.restarts
                    );
                    let subject = Subject {
                        origin: &origin,
                        pod: pod_meta,
                        docker: None,
                        path: &path,
                        target: Some(&target),
                        metadata,
                        json: None,
                    };
                    let template = Template::new(&settings(schema, JsonMode::Nested), &subject);
                    let document = render(&template, &event(b"a \"line\" of\ttext "));
                    if schema == Schema::Ecs {
                        judge(&document, JsonMode::Nested).unwrap();
                    }
                    all.push_str(&document);
                }
            }
        }
        golden(&format!("kubelet/{name}.golden.ndjson"), &all);
    }
}

#[test]
fn a_sidecars_files_are_of_its_pod() {
    let pod = PodMeta {
        namespace: "shop".to_owned(),
        name: "web-5d8f7c9b6d-x2k4m".to_owned(),
        uid: "u".to_owned(),
        node: "node-1".to_owned(),
        ip: "10.0.0.7".to_owned(),
        labels: [
            ("app".to_owned(), "web".to_owned()),
            ("pod-template-hash".to_owned(), "5d8f7c9b6d".to_owned()),
        ]
        .into(),
        owner: Some(("ReplicaSet".to_owned(), "web-5d8f7c9b6d".to_owned())),
        ..PodMeta::default()
    };
    let target = target();
    let of = |schema| {
        let subject = Subject { pod: Some(&pod), ..file("/var/log/app/a.log", &target) };
        let document = render(&Template::new(&settings(schema, JsonMode::Nested), &subject), &event(b"x"));
        serde_json::from_str::<Value>(&document).unwrap()
    };
    let ecs = json!({
        "namespace": "shop", "pod": { "name": "web-5d8f7c9b6d-x2k4m", "uid": "u", "ip": "10.0.0.7" },
        "node": { "name": "node-1" }, "labels": { "app": "web", "pod-template-hash": "5d8f7c9b6d" },
        "replicaset": { "name": "web-5d8f7c9b6d" }, "deployment": { "name": "web" },
    });
    assert_eq!(of(Schema::Ecs)["kubernetes"], ecs);
    assert_eq!(of(Schema::Ecs)["container"], Value::Null);
    let fluentd = json!({
        "namespace_name": "shop", "pod_name": "web-5d8f7c9b6d-x2k4m", "pod_id": "u", "pod_ip": "10.0.0.7",
        "host": "node-1", "labels": { "app": "web", "pod-template-hash": "5d8f7c9b6d" },
    });
    assert_eq!(of(Schema::Fluentd)["kubernetes"], fluentd);
    assert_eq!(of(Schema::Fluentd)["tag"], "var.log.app.a.log");
}

#[test]
fn flags_levels_streams_and_bad_times() {
    let target = target();
    let template = Template::new(&settings(Schema::Ecs, JsonMode::Nested), &file("/x.log", &target));
    let mut event = event(b"{\"level\":30}");
    event.flags = Flags { multiline: true, truncated: true, partial: true };
    event.stream = Stream::None;
    event.time = b"0001-01-01T00:00:00Z";
    event.span.start.offset = u64::MAX;
    assert!(render(&template, &event).starts_with(concat!(
        r#"{"@timestamp":"1970-01-01T00:00:00Z","message":"{\"level\":30}","#,
        r#""log":{"file":{"path":"/x.log"},"offset":18446744073709551615,"#,
        r#""flags":["multiline","truncated","partial","bad_time"],"level":"30"},"json":{"level":30},"host""#,
    )));
}

#[test]
fn what_is_not_utf8_is_replaced_and_nothing_else() {
    let target = target();
    let template = Template::new(&settings(Schema::Ecs, JsonMode::Nested), &file("/x.log", &target));
    assert!(render(&template, &event(b"caf\xe9 ")).contains(r#""message":"caf"#));
    assert!(render(&template, &event(b"caf\xe9 ")).contains("caf\u{fffd} \""));
    assert!(render(&template, &event(b"{\"msg\":\"caf\xe9\"}")).contains("\"message\":\"caf\u{fffd}\""));
    assert!(render(&template, &event(b"")).contains(r#""message":"","stream""#));
}

#[test]
fn added_fields_never_replace_ours() {
    let target = target();
    let mut settings = settings(Schema::Ecs, JsonMode::Merge);
    let added = serde_json::json!({
        "environment": "production", "message": "mine", "@timestamp": 1, "json": 2,
        "log": {"level": "mine", "offset": 1, "source": "s"},
        "host": {"name": "mine", "rack": "r1"}, "ecs": "mine", "tags": ["a", "b"],
    });
    settings.add_fields = added.as_object().unwrap().clone();
    let template = Template::new(&settings, &file("/x.log", &target));
    let document = render(&template, &event(br#"{"environment":"theirs","tags":"t","own":1}"#));
    judge(&document, JsonMode::Merge).unwrap();
    let read: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(read["environment"], "production");
    assert_eq!(read["log"]["source"], "s");
    assert_eq!(read["log"]["offset"], 4711);
    assert_eq!(read["log"]["level"], Value::Null);
    assert_eq!(read["host"], serde_json::json!({"name": "node-1", "rack": "r1"}));
    assert_eq!(read["ecs"]["version"], "8.11.0");
    assert_eq!(read["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(read["own"], 1);
    assert_eq!(read["json"], serde_json::json!({"environment": "theirs", "tags": "t"}));
}

#[test]
fn labels_are_chosen_and_dedotted() {
    let labels = [("app", "a"), ("x.io/y", "dotted"), ("x_io/y", "plain"), ("z.io/z", ""), ("hidden", "h")];
    let pod = PodMeta {
        labels: labels.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
        annotations: [("note".to_owned(), "n".to_owned())].into(),
        ..PodMeta::default()
    };
    let origin = web(2, Some("abc"));
    let target = target();
    let subject = Subject {
        origin: &origin,
        pod: Some(&pod),
        target: None,
        metadata: Metadata::Full,
        ..file("/x.log", &target)
    };
    let mut settings = settings(Schema::Ecs, JsonMode::Off);
    settings.labels = globs(&["app", "x*", "z.io/*"]).unwrap();
    settings.annotations = globs(&["no*"]).unwrap();
    let document = render(&Template::new(&settings, &subject), &event(b"x"));
    assert!(
        document.contains(r#""labels":{"app":"a","x_io/y":"plain","z_io/z":""},"annotations":{"note":"n"}"#)
    );
    assert!(document.contains(r#""container":{"name":"c","status":{"restarts":2}}"#), "{document}");
    assert!(document.contains(r#""container":{"id":"abc"}"#), "{document}");
    assert!(!document.contains("data_stream"));
    settings.dedot = false;
    let document = render(&Template::new(&settings, &subject), &event(b"x"));
    assert!(document.contains(r#""labels":{"app":"a","x.io/y":"dotted","x_io/y":"plain","z.io/z":""}"#));
}

#[test]
fn a_docker_hosts_container() {
    let origin = Origin::Docker { id: "ab12".to_owned(), folder: PathBuf::new() };
    let meta = DockerMeta {
        name: "web".to_owned(),
        image: "nginx:1.27".to_owned(),
        image_id: "sha256:0f".to_owned(),
        labels: [("com.docker.compose.service".to_owned(), "web".to_owned())].into(),
    };
    let target = target();
    let subject = Subject { origin: &origin, docker: Some(&meta), ..file("/d/ab12-json.log", &target) };
    let document = render(&Template::new(&settings(Schema::Ecs, JsonMode::Off), &subject), &event(b"x"));
    assert!(document.contains(concat!(
        r#""container":{"id":"ab12","runtime":"docker","name":"web","image":{"name":"nginx:1.27","#,
        r#""hash":{"all":["sha256:0f"]}},"labels":{"com_docker_compose_service":"web"}}"#
    )));
    let document = render(&Template::new(&settings(Schema::Fluentd, JsonMode::Off), &subject), &event(b"x"));
    assert!(document.contains(r#""docker":{"container_id":"ab12"},"tag":"d.ab12-json.log""#), "{document}");
}

/// While a container crashes in a loop the kubelet's list is of another moment than the file.
#[test]
fn a_container_id_is_of_the_very_instance_or_not_there() {
    let container = ContainerMeta {
        id: "containerd://now".to_owned(),
        former_id: "containerd://before".to_owned(),
        restarts: 4,
        ..ContainerMeta::default()
    };
    let pod = PodMeta { containers: [("c".to_owned(), container)].into(), ..PodMeta::default() };
    let id_of = |instance: u32, linked: Option<&str>| {
        let origin = web(instance, linked);
        let target = target();
        let subject = Subject {
            origin: &origin,
            pod: Some(&pod),
            target: None,
            metadata: Metadata::Full,
            ..file("/x.log", &target)
        };
        let settings = settings(Schema::Ecs, JsonMode::Off);
        let document = render(&Template::new(&settings, &subject), &event(b"x"));
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        document["container"]["id"].as_str().map(str::to_owned)
    };
    assert_eq!(id_of(4, None).as_deref(), Some("now"));
    assert_eq!(id_of(3, None).as_deref(), Some("before"));
    assert_eq!(id_of(2, None), None);
    assert_eq!(id_of(5, None), None, "the kubelet is behind");
    assert_eq!(id_of(2, Some("linked")).as_deref(), Some("linked"));
}
