//! The pods of a node, as the kubelet's `/pods` lists them, with only what is needed of each.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use crate::event::{ContainerMeta, Origin, PodMeta};

/// Labels and annotations with a longer value are not kept: some tools keep whole manifests in annotations, which
/// no index takes.
pub const MAX_TEXT: usize = 4 * 1024;

/// How many bytes of labels, and how many of annotations, are kept of one pod, keys and values together.
pub const MAX_TEXTS: usize = 32 * 1024;

/// What the kubelet makes a static pod's uid of; its mirror has it too.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// What marks the mirror of a static pod in the API server.
const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";

/// A snapshot of the node's pods, by uid. Cheap to share; never changed once it is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    by_uid: HashMap<String, Arc<PodMeta>>,
}

/// Why a list of pods cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PodsError {
    /// The reader failed.
    #[error("read the list of pods: {0}")]
    Read(#[source] serde_json::Error),
    /// The text is no list of pods.
    #[error("the answer is no list of pods: {0}")]
    Parse(#[source] serde_json::Error),
}

impl Pods {
    /// The pod of this uid. The same [`Arc`] in two snapshots means that nothing of the pod has changed.
    pub fn get(&self, uid: &str) -> Option<&Arc<PodMeta>> {
        self.by_uid.get(uid)
    }

    /// Whether all that documents show of this container is there: before it starts, the kubelet lists a pod
    /// without its containers' ids, its IP and its images' digests; after a restart, for a while with the id of the
    /// instance before, which only matters as long as no link tells the new one.
    pub fn is_settled(&self, origin: &Origin) -> bool {
        let Origin::Pod { uid, container, instance, container_id, .. } = origin else { return true };
        let known = self.get(uid).and_then(|pod| pod.containers.get(container));
        known.is_some_and(|known| {
            !known.id.is_empty() && (container_id.is_some() || known.restarts >= *instance)
        })
    }

    /// Adds a pod under the uid that is in its logs' paths. The API server's mirror of a static pod has another uid,
    /// and names that of the path in an annotation; what has it for its own comes before such a mirror.
    fn add(&mut self, mut pod: PodMeta) {
        match pod.annotations.get(CONFIG_HASH).filter(|hash| **hash != pod.uid).cloned() {
            Some(hash) if pod.annotations.contains_key(CONFIG_MIRROR) => {
                pod.uid.clone_from(&hash);
                self.by_uid.entry(hash).or_insert_with(|| Arc::new(pod));
            }
            _ if pod.uid.is_empty() => {}
            _ => drop(self.by_uid.insert(pod.uid.clone(), Arc::new(pod))),
        }
    }

    /// All pods, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PodMeta>> {
        self.by_uid.values()
    }

    /// How many pods there are.
    pub fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Whether there is no pod at all.
    pub fn is_empty(&self) -> bool {
        self.by_uid.is_empty()
    }

    /// Reads a list of pods: the answer of the kubelet's `/pods`, or `kubectl get pods -o json`.
    ///
    /// The list is never held whole: each pod is reduced as it passes, so that the memory needed is that of the
    /// result and of one string.
    ///
    /// # Errors
    ///
    /// When the reader fails, or the text is no list of pods.
    pub fn parse(reader: impl Read) -> Result<Self, PodsError> {
        let list: PodList = serde_json::from_reader(BufReader::new(reader))
            .map_err(|error| if error.is_io() { PodsError::Read(error) } else { PodsError::Parse(error) })?;
        Ok(list.items)
    }

    /// Writes the pods so that [`Pods::parse`] reads them again.
    ///
    /// # Errors
    ///
    /// When the writer fails.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        out.write_all(br#"{"kind":"PodList","items":["#)?;
        for (index, pod) in self.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            serde_json::to_writer(&mut out, &as_listed(pod))?;
        }
        out.write_all(b"]}\n")
    }
}

impl FromIterator<Arc<PodMeta>> for Pods {
    fn from_iter<I: IntoIterator<Item = Arc<PodMeta>>>(pods: I) -> Self {
        Self { by_uid: pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect() }
    }
}

/// A pod as the kubelet would list it. All containers are written as ordinary ones: their kind is not kept.
fn as_listed(pod: &PodMeta) -> serde_json::Value {
    let owner = pod.owner.iter();
    let containers = pod.containers.iter();
    json!({
        "metadata": {
            "name": pod.name, "namespace": pod.namespace, "uid": pod.uid,
            "labels": pod.labels, "annotations": pod.annotations,
            "ownerReferences": owner
                .map(|(kind, name)| json!({"kind": kind, "name": name, "controller": true}))
                .collect::<Vec<_>>(),
        },
        "spec": {
            "nodeName": pod.node,
            "containers": containers.clone()
                .map(|(name, container)| json!({"name": name, "image": container.image}))
                .collect::<Vec<_>>(),
        },
        "status": {
            "podIP": pod.ip,
            "containerStatuses": containers
                .map(|(name, container)| json!({
                    "name": name, "image": container.image, "imageID": container.image_id,
                    "containerID": container.id, "restartCount": container.restarts,
                    "lastState": {"terminated": {"containerID": container.former_id}},
                }))
                .collect::<Vec<_>>(),
        },
    })
}

#[derive(Deserialize)]
struct PodList {
    items: Pods,
}

impl<'de> Deserialize<'de> for Pods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Pods;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of pods")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Pods, A::Error> {
                let mut pods = Pods::default();
                while let Some(listed) = items.next_element::<Listed>()? {
                    pods.add(listed.into());
                }
                Ok(pods)
            }

            // What Go writes for an empty list.
            fn visit_unit<E>(self) -> Result<Pods, E> {
                Ok(Pods::default())
            }
        }
        deserializer.deserialize_any(Items)
    }
}

/// The part of a pod that is used.
#[derive(Deserialize)]
struct Listed {
    metadata: ListedMetadata,
    #[serde(default)]
    spec: ListedSpec,
    #[serde(default)]
    status: ListedStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedMetadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: Texts,
    #[serde(default)]
    annotations: Texts,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListedSpec {
    node_name: String,
    init_containers: Option<Vec<Spec>>,
    containers: Option<Vec<Spec>>,
    ephemeral_containers: Option<Vec<Spec>>,
}

#[derive(Deserialize)]
struct Spec {
    name: String,
    #[serde(default)]
    image: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListedStatus {
    #[serde(rename = "podIP")]
    pod_ip: String,
    init_container_statuses: Option<Vec<Status>>,
    container_statuses: Option<Vec<Status>>,
    ephemeral_container_statuses: Option<Vec<Status>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
    #[serde(default, rename = "containerID")]
    container_id: Option<String>,
    #[serde(default)]
    restart_count: u32,
    #[serde(default)]
    last_state: LastState,
}

/// How the instance before came to its end; empty for the first.
#[derive(Default, Deserialize)]
struct LastState {
    terminated: Option<Terminated>,
}

#[derive(Deserialize)]
struct Terminated {
    #[serde(default, rename = "containerID")]
    container_id: String,
}

impl From<Listed> for PodMeta {
    fn from(Listed { metadata, spec, status }: Listed) -> Self {
        let owners = metadata.owner_references.unwrap_or_default();
        let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
        Self {
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            node: spec.node_name,
            ip: status.pod_ip,
            labels: metadata.labels.kept,
            annotations: metadata.annotations.kept,
            owner: owner.map(|owner| (owner.kind, owner.name)),
            containers: containers(
                [spec.init_containers, spec.containers, spec.ephemeral_containers],
                [
                    status.init_container_statuses,
                    status.container_statuses,
                    status.ephemeral_container_statuses,
                ],
            ),
        }
    }
}

/// Containers of all three kinds by name; a name is given only once in a pod.
fn containers(
    specs: [Option<Vec<Spec>>; 3],
    statuses: [Option<Vec<Status>>; 3],
) -> BTreeMap<String, ContainerMeta> {
    let mut containers: BTreeMap<String, ContainerMeta> = BTreeMap::new();
    for spec in specs.into_iter().flatten().flatten() {
        containers.entry(spec.name).or_default().image = spec.image;
    }
    for status in statuses.into_iter().flatten().flatten() {
        let container = containers.entry(status.name).or_default();
        // The runtime may tell only the digest of an image that has several names, so the spec's name counts.
        if container.image.is_empty() || container.image.starts_with("sha256:") {
            container.image = status.image;
        }
        container.image_id = status.image_id;
        container.id = status.container_id.unwrap_or_default();
        container.former_id =
            status.last_state.terminated.map(|former| former.container_id).unwrap_or_default();
        container.restarts = status.restart_count;
    }
    containers
}

/// Labels or annotations, those within bounds.
#[derive(Default)]
pub(super) struct Texts {
    /// Those that are kept.
    pub kept: BTreeMap<String, String>,
    bytes: usize,
}

impl Texts {
    /// Keeps one, unless it is too long or there are too many.
    pub fn add(&mut self, key: String, text: String) {
        let bytes = self.bytes + key.len() + text.len();
        if key.len() <= MAX_TEXT && text.len() <= MAX_TEXT && bytes <= MAX_TEXTS {
            self.bytes = bytes;
            self.kept.insert(key, text);
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels or annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = Texts::default();
                while let Some(Short(key)) = map.next_key()? {
                    let Some(key) = key else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let Short(text) = map.next_value()?;
                    if let Some(text) = text {
                        texts.add(key, text);
                    }
                }
                Ok(texts)
            }

            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts::default())
            }
        }
        deserializer.deserialize_any(Bounded)
    }
}

/// A string, unless it is too long to keep.
struct Short(Option<String>);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Measured;
        impl Visitor<'_> for Measured {
            type Value = Short;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Short, E> {
                Ok(Short((text.len() <= MAX_TEXT).then(|| text.to_owned())))
            }
        }
        deserializer.deserialize_str(Measured)
    }
}

#[cfg(test)]
mod tests;
