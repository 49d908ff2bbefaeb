//! Which workload a pod belongs to, found without the API server: from its owner's name and its labels.

use crate::event::PodMeta;

/// One field of `kubernetes`: its object's name (`deployment`) and that object's `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload<'a> {
    /// A kind that Kubernetes itself has: `kubernetes.<field>.name`.
    Known {
        /// The field.
        field: &'static str,
        /// The workload's name.
        name: &'a str,
    },
    /// Any other owner: `kubernetes.owner.kind` and `kubernetes.owner.name`.
    Custom {
        /// Its kind, as in `ownerReferences`.
        kind: &'a str,
        /// Its name.
        name: &'a str,
    },
}

impl<'a> Workload<'a> {
    /// Its kind as Kubernetes spells it.
    pub fn kind(&self) -> &'a str {
        match *self {
            Self::Known { field, .. } => match field {
                "replicaset" => "ReplicaSet",
                "deployment" => "Deployment",
                "statefulset" => "StatefulSet",
                "daemonset" => "DaemonSet",
                "replicationcontroller" => "ReplicationController",
                "job" => "Job",
                "cronjob" => "CronJob",
                other => other,
            },
            Self::Custom { kind, .. } => kind,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        match *self {
            Self::Known { name, .. } | Self::Custom { name, .. } => name,
        }
    }
}

/// The workloads of a pod, from the nearest to the outermost: a ReplicaSet and then its Deployment.
pub fn of(pod: &PodMeta) -> Vec<Workload<'_>> {
    let Some((kind, name)) = &pod.owner else { return Vec::new() };
    let known = |field| Workload::Known { field, name };
    let (nearest, outer) = match kind.as_str() {
        "ReplicaSet" => (known("replicaset"), deployment(name, pod).map(|name| ("deployment", name))),
        "Job" => (known("job"), cronjob(name).map(|name| ("cronjob", name))),
        "StatefulSet" => (known("statefulset"), None),
        "DaemonSet" => (known("daemonset"), None),
        "ReplicationController" => (known("replicationcontroller"), None),
        // The owner of a static pod's mirror; `kubernetes.node.name` says it.
        "Node" => return Vec::new(),
        _ => (Workload::Custom { kind, name }, None),
    };
    let outer = outer.map(|(field, name)| Workload::Known { field, name });
    std::iter::once(nearest).chain(outer).collect()
}

/// A Deployment names its ReplicaSets `<deployment>-<pod-template-hash>` and labels their pods with the hash.
fn deployment<'a>(replicaset: &'a str, pod: &PodMeta) -> Option<&'a str> {
    let hash = pod.labels.get("pod-template-hash").filter(|hash| !hash.is_empty())?;
    replicaset.strip_suffix(hash.as_str())?.strip_suffix('-').filter(|name| !name.is_empty())
}

/// A CronJob names its Jobs `<cronjob>-<minutes since 1970>`: eight digits until 2160. Older clusters wrote
/// seconds: ten.
fn cronjob(job: &str) -> Option<&str> {
    let (name, time) = job.rsplit_once('-')?;
    let is_time = matches!(time.len(), 8 | 10) && time.bytes().all(|byte| byte.is_ascii_digit());
    (is_time && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: &str, name: &str, hash: &str) -> String {
        let mut pod = PodMeta { owner: Some((kind.to_owned(), name.to_owned())), ..PodMeta::default() };
        if !hash.is_empty() {
            pod.labels.insert("pod-template-hash".to_owned(), hash.to_owned());
        }
        let show = |workload: Workload<'_>| match workload {
            Workload::Known { field, name } => format!("{field}={name}"),
            Workload::Custom { kind, name } => format!("{kind}:{name}"),
        };
        of(&pod).into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn finds_what_stands_behind_the_owner() {
        for (kind, name, hash, expected) in [
            ("ReplicaSet", "web-7d4b9c", "7d4b9c", "replicaset=web-7d4b9c deployment=web"),
            ("ReplicaSet", "web-2-7d4b9c", "7d4b9c", "replicaset=web-2-7d4b9c deployment=web-2"),
            ("ReplicaSet", "bare", "", "replicaset=bare"),
            ("ReplicaSet", "bare-1", "7d4b9c", "replicaset=bare-1"),
            ("ReplicaSet", "7d4b9c", "7d4b9c", "replicaset=7d4b9c"),
            ("Job", "backup-29924280", "", "job=backup-29924280 cronjob=backup"),
            ("Job", "backup-1795369041", "", "job=backup-1795369041 cronjob=backup"),
            ("Job", "backup-2026", "", "job=backup-2026"),
            ("Job", "migrate", "", "job=migrate"),
            ("StatefulSet", "db", "", "statefulset=db"),
            ("DaemonSet", "proxy", "", "daemonset=proxy"),
            ("Node", "node-1", "", ""),
            ("SparkApplication", "pi", "", "SparkApplication:pi"),
        ] {
            assert_eq!(names(kind, name, hash), expected, "{kind} {name}");
        }
        assert!(of(&PodMeta::default()).is_empty());
    }
}
