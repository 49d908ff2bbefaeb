//! What is constant of one container's documents, in both schemas.

use std::borrow::Cow;
use std::collections::BTreeMap;

use globset::GlobSet;

use super::document::{DocumentSettings, Metadata, Subject};
use super::fields::Fields;
use super::workload::{self, Workload};
use crate::event::{ContainerMeta, Origin, PodMeta, Target, TargetKind};

/// The version of the Elastic Common Schema whose names are used.
const ECS_VERSION: &str = "8.11.0";

/// The constant fields of schema `ecs`; `log` holds those that stand beside the event's own.
pub fn ecs(settings: &DocumentSettings, subject: &Subject<'_>) -> Fields {
    let mut fields = Fields::default();
    // Standard input has none.
    if !subject.path.is_empty() {
        fields.object("log").object("file").text("path", subject.path);
    }
    match subject.origin {
        Origin::Pod { .. } => container_of_pod(&mut fields, settings, subject),
        Origin::Docker { id, .. } => docker(&mut fields, settings, subject, id),
        Origin::File => {
            if let Some(own) = subject.pod {
                let kubernetes = fields.object("kubernetes");
                pod_names(kubernetes, [&own.namespace, &own.name, &own.uid], Some(own));
                pod(kubernetes, settings, Some(own));
            }
        }
    }
    if !settings.node_name.is_empty() {
        fields.object("host").text("name", &settings.node_name);
    }
    if let Some((dataset, namespace)) = subject.target.and_then(data_stream) {
        fields
            .object("data_stream")
            .text("type", "logs")
            .text("dataset", dataset)
            .text("namespace", namespace);
    }
    if subject.metadata == Metadata::PathOnly {
        fields.object("skidder").text("metadata", "path");
    }
    fields.object("ecs").text("version", ECS_VERSION);
    fields.add(&settings.add_fields);
    fields
}

/// `kubernetes` and `container` of a pod's container.
fn container_of_pod(fields: &mut Fields, settings: &DocumentSettings, subject: &Subject<'_>) {
    let Origin::Pod { namespace, pod: name, uid, container, instance, .. } = subject.origin else { return };
    let meta = subject.pod;
    let kubernetes = fields.object("kubernetes");
    pod_names(kubernetes, [namespace, name, uid], meta);
    kubernetes.object("container").text("name", container);
    if *instance > 0 {
        let restarts = instance.to_string().into_bytes();
        kubernetes.object("container").object("status").leaf("restarts", restarts);
    }
    pod(kubernetes, settings, meta);
    let known = meta.and_then(|meta| meta.containers.get(container));
    let id = container_id(subject.origin, known);
    let image = known.map_or("", |known| &known.image);
    if !id.is_empty() || known.is_some() {
        let container = fields.object("container");
        container.text("id", id).text("runtime", known.map_or("", runtime));
        image_fields(container, image, known.map_or("", |known| &known.image_id));
    }
}

/// How a pod is called.
fn pod_names(kubernetes: &mut Fields, [namespace, name, uid]: [&str; 3], meta: Option<&PodMeta>) {
    kubernetes.text("namespace", namespace);
    kubernetes.object("pod").text("name", name).text("uid", uid).text("ip", meta.map_or("", |meta| &meta.ip));
}

/// What else is said of a pod: its node, labels, annotations, workloads.
fn pod(kubernetes: &mut Fields, settings: &DocumentSettings, meta: Option<&PodMeta>) {
    let node = node(settings, meta);
    if !node.is_empty() {
        kubernetes.object("node").text("name", node);
    }
    let Some(meta) = meta else { return };
    texts(kubernetes, "labels", &meta.labels, &settings.labels, settings.dedot);
    texts(kubernetes, "annotations", &meta.annotations, &settings.annotations, settings.dedot);
    for workload in workload::of(meta) {
        match workload {
            Workload::Known { field, name } => kubernetes.object(field).text("name", name),
            Workload::Custom { kind, name } => {
                kubernetes.object("owner").text("kind", kind).text("name", name)
            }
        };
    }
}

/// `container` of a plain Docker host.
fn docker(fields: &mut Fields, settings: &DocumentSettings, subject: &Subject<'_>, id: &str) {
    let container = fields.object("container");
    container.text("id", id).text("runtime", "docker");
    if let Some(meta) = subject.docker {
        container.text("name", &meta.name);
        image_fields(container, &meta.image, &meta.image_id);
        texts(container, "labels", &meta.labels, &settings.labels, settings.dedot);
    }
}

fn image_fields(container: &mut Fields, image: &str, image_id: &str) {
    if !image.is_empty() {
        container.object("image").text("name", image);
    }
    if let Some(digest) = digest(image_id) {
        let all = serde_json::Value::from(vec![digest]).to_string().into_bytes();
        container.object("image").object("hash").leaf("all", all);
    }
}

/// The constant fields of schema `fluentd`, as the metadata filter of the usual Fluentd DaemonSet sets them.
pub fn fluentd(settings: &DocumentSettings, subject: &Subject<'_>) -> Fields {
    let mut fields = Fields::default();
    match subject.origin {
        Origin::Pod { namespace, pod, uid, container, .. } => {
            let known = subject.pod.and_then(|meta| meta.containers.get(container));
            let id = container_id(subject.origin, known);
            if !id.is_empty() {
                fields.object("docker").text("container_id", id);
            }
            let kubernetes = fields.object("kubernetes");
            fluentd_pod(kubernetes, settings, [namespace, pod, uid], container, subject.pod);
            fields.text("tag", &tag(subject, id));
        }
        Origin::Docker { id, .. } => {
            fields.object("docker").text("container_id", id);
            fields.text("tag", &tag(subject, id));
        }
        Origin::File => {
            if let Some(own) = subject.pod {
                let names = [&*own.namespace, &own.name, &own.uid];
                fluentd_pod(fields.object("kubernetes"), settings, names, "", Some(own));
            }
            fields.text("tag", &tag(subject, ""));
        }
    }
    if subject.metadata == Metadata::PathOnly {
        fields.object("skidder").text("metadata", "path");
    }
    fields.add(&settings.add_fields);
    fields
}

/// `kubernetes` as the metadata filter has it.
fn fluentd_pod(
    kubernetes: &mut Fields,
    settings: &DocumentSettings,
    [namespace, pod, uid]: [&str; 3],
    container: &str,
    meta: Option<&PodMeta>,
) {
    kubernetes.text("namespace_name", namespace).text("pod_name", pod).text("pod_id", uid);
    kubernetes.text("pod_ip", meta.map_or("", |meta| &meta.ip)).text("container_name", container);
    if let Some(known) = meta.and_then(|meta| meta.containers.get(container)) {
        kubernetes.text("container_image", &known.image).text("container_image_id", &known.image_id);
    }
    kubernetes.text("host", node(settings, meta));
    if let Some(meta) = meta {
        texts(kubernetes, "labels", &meta.labels, &settings.labels, settings.dedot);
        texts(kubernetes, "annotations", &meta.annotations, &settings.annotations, settings.dedot);
    }
}

/// Fluentd's tag: `kubernetes.` and the path of the link in `/var/log/containers`, dots for slashes. Without the
/// container's id, the path that was read.
fn tag(subject: &Subject<'_>, id: &str) -> String {
    match subject.origin {
        Origin::Pod { namespace, pod, container, .. } if !id.is_empty() => {
            format!("kubernetes.var.log.containers.{pod}_{namespace}_{container}-{id}.log")
        }
        Origin::Pod { .. } => format!("kubernetes{}", dotted(subject.path)),
        Origin::Docker { .. } | Origin::File => dotted(subject.path).trim_start_matches('.').to_owned(),
    }
}

fn dotted(path: &str) -> String {
    path.replace('/', ".")
}

/// The node's name: the pod's own word for it, else the configured one.
fn node<'a>(settings: &'a DocumentSettings, pod: Option<&'a PodMeta>) -> &'a str {
    pod.map(|meta| meta.node.as_str()).filter(|node| !node.is_empty()).unwrap_or(&settings.node_name)
}

/// The container's id: of the link if that told it; the kubelet's only if it speaks of this very instance or of the one
/// after it, for while a container crashes in a loop the kubelet's list and the files are not of the same moment.
fn container_id<'a>(origin: &'a Origin, known: Option<&'a ContainerMeta>) -> &'a str {
    let Origin::Pod { instance, container_id, .. } = origin else { return "" };
    let told = match (container_id, known) {
        (Some(id), _) => id,
        (None, Some(known)) if known.restarts == *instance => &known.id,
        (None, Some(known)) if known.restarts.checked_sub(1) == Some(*instance) => &known.former_id,
        (None, _) => "",
    };
    told.split_once("://").map_or(told, |(_, id)| id)
}

/// The runtime's name: the scheme of the container's id.
fn runtime(known: &ContainerMeta) -> &str {
    known.id.split_once("://").map_or("", |(runtime, _)| runtime)
}

/// `algorithm:hash` of `registry/image@sha256:…`, `docker-pullable://…@sha256:…` or a bare `sha256:…`.
fn digest(image_id: &str) -> Option<&str> {
    let digest = image_id.rsplit_once('@').map_or(image_id, |(_, digest)| digest);
    let (algorithm, hash) = digest.split_once(':')?;
    let is_digest = algorithm.starts_with("sha") && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(digest)
}

/// The dataset and namespace of a data stream's name, `logs-<dataset>-<namespace>`.
fn data_stream(target: &Target) -> Option<(&str, &str)> {
    if target.kind != TargetKind::DataStream {
        return None;
    }
    target.name.strip_prefix("logs-")?.split_once('-')
}

/// Labels or annotations: those that a glob names. With `dedot` dots become underscores; where two keys become
/// one, the key that had no dots counts.
fn texts(fields: &mut Fields, name: &str, all: &BTreeMap<String, String>, globs: &GlobSet, dedot: bool) {
    let mut shown = BTreeMap::new();
    for (key, text) in all.iter().filter(|(key, _)| globs.is_match(key.as_str())) {
        if dedot && key.contains('.') {
            shown.entry(Cow::Owned(key.replace('.', "_"))).or_insert(text);
        } else {
            shown.insert(Cow::Borrowed(key.as_str()), text);
        }
    }
    if shown.is_empty() {
        return;
    }
    let fields = fields.object(name);
    for (key, text) in shown {
        let mut json = Vec::new();
        super::escape::append(text, &mut json);
        // An empty label says something: it is there.
        fields.leaf(&key, json);
    }
}
