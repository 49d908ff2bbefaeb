//! Whose log it is: what the file's path says, and what the kubelet adds.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the path of a log file says of its container, or that it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<instance>.log`, as the kubelet names it.
    Pod {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        pod: String,
        /// The pod's uid as in the path: dashed, or 32 hex digits for a static pod.
        uid: String,
        /// The container's name.
        container: String,
        /// The instance: how often the container had been restarted, from the file's name.
        instance: u32,
        /// The container's id (64 hex digits) when the link in `/var/log/containers` told it.
        container_id: Option<String>,
    },
    /// `/var/lib/docker/containers/<id>/<id>-json.log`.
    Docker {
        /// The container's id, 64 hex digits.
        id: String,
        /// The container's folder, which holds `config.v2.json`.
        folder: PathBuf,
    },
    /// Any other file.
    File,
}

impl Origin {
    /// What a link has told of the container stays so when the link is gone; `former` is the same log's.
    pub fn remember_container(&mut self, former: &Self) {
        if let (Self::Pod { container_id: id @ None, .. }, Self::Pod { container_id, .. }) = (self, former) {
            id.clone_from(container_id);
        }
    }

    /// Namespace, pod and container, for what is chosen by them; empty where there is none. A file that no path
    /// names may still be of a pod: a sidecar's.
    pub fn names<'a>(&'a self, pod: Option<&'a PodMeta>) -> [&'a str; 3] {
        match self {
            Self::Pod { namespace, pod, container, .. } => [namespace, pod, container],
            Self::Docker { .. } | Self::File => pod.map_or([""; 3], |pod| [&pod.namespace, &pod.name, ""]),
        }
    }
}

/// What the kubelet tells of a pod: only what documents, targets and filters need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodMeta {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid` as in the log path.
    pub uid: String,
    /// `spec.nodeName`.
    pub node: String,
    /// `status.podIP`; empty for none.
    pub ip: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// The controlling owner's kind and name from `metadata.ownerReferences`.
    pub owner: Option<(String, String)>,
    /// Containers of all three kinds (init, ordinary, ephemeral) by name.
    pub containers: BTreeMap<String, ContainerMeta>,
}

/// What the kubelet tells of one container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerMeta {
    /// `spec.….image`, or the status's when that names it better.
    pub image: String,
    /// `status.….imageID`; empty for none.
    pub image_id: String,
    /// `status.….containerID` with its scheme, such as `containerd://…`; empty for none.
    pub id: String,
    /// `status.….lastState.terminated.containerID`, of the instance before; empty for none.
    pub former_id: String,
    /// `status.….restartCount`.
    pub restarts: u32,
}
