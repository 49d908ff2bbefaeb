//! The document of an event: constant bytes around its time, its message and its place.
//!
//! ```text
//!  {"@timestamp":"  TIME  ","message":  "MESSAGE"  ,"stream":"stdout","log":{"file":{…},"offset":  OFFSET
//!  [,"flags":[…]][,"level":…]  }  [,"json":{…}]  ,"kubernetes":{…},…}\n
//! ```
//!
//! Capitals are the event's; the rest is rendered once, when the [`Template`] is made.

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde_json::{Map, Value};

use super::constants;
use super::docker::DockerMeta;
use super::escape;
use super::json::{Kind, Member, Object, Place, Scratch};
use super::time;
use crate::event::{Event, Flags, Origin, PodMeta, Stream, Target};

/// The names of a document's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// The Elastic Common Schema, as Filebeat uses it.
    #[default]
    Ecs,
    /// What the usual Fluentd DaemonSet writes.
    Fluentd,
}

/// What becomes of a message that is a JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonMode {
    /// Its fields also go under `json`.
    #[default]
    Nested,
    /// Its fields go into the document's root; those that would be in the way there, under `json`.
    Merge,
    /// It is text.
    Off,
}

/// What a file block or the whole agent says of documents.
#[derive(Clone, Debug)]
pub struct DocumentSettings {
    /// The names of fields.
    pub schema: Schema,
    /// What becomes of JSON messages, unless the pod says otherwise.
    pub json: JsonMode,
    /// Which labels are shown, by their names in Kubernetes (or Docker).
    pub labels: GlobSet,
    /// Which annotations are shown.
    pub annotations: GlobSet,
    /// Dots in names of labels and annotations become underscores.
    pub dedot: bool,
    /// Fields added to each document. What a document says of itself is never replaced.
    pub add_fields: Map<String, Value>,
    /// The node's name: `host.name`, and `kubernetes.node.name` where the kubelet does not tell it.
    pub node_name: String,
}

/// A set of globs over names; `*` also matches dots and slashes.
///
/// # Errors
///
/// When one of the patterns is no glob.
pub fn globs<S: AsRef<str>>(patterns: &[S]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern.as_ref())?);
    }
    set.build()
}

/// How much is known of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// All that was to be known, or nothing was asked.
    Full,
    /// The kubelet had nothing to say in time: documents carry `skidder.metadata: path`.
    PathOnly,
    /// No pod's log.
    NotKubernetes,
}

/// Whose documents a [`Template`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What the file's path says.
    pub origin: &'a Origin,
    /// What the kubelet says of the pod.
    pub pod: Option<&'a PodMeta>,
    /// What a plain Docker host says of the container.
    pub docker: Option<&'a DockerMeta>,
    /// `log.file.path`.
    pub path: &'a str,
    /// Where the documents go, for `data_stream`; `None` for none.
    pub target: Option<&'a Target>,
    /// How much is known.
    pub metadata: Metadata,
    /// What the pod's annotation says of JSON messages, in place of [`DocumentSettings::json`].
    pub json: Option<JsonMode>,
}

/// All that is constant of one container's documents, as bytes.
#[derive(Clone, Debug)]
pub struct Template {
    schema: Schema,
    json: JsonMode,
    /// From the message's end to the offset (or, without one, to the JSON fields), for each stream.
    after_message: [Vec<u8>; Stream::COUNT],
    /// From the JSON fields to the document's newline.
    tail: Vec<u8>,
    /// Root fields that a message must not set in mode `merge`.
    own: Vec<String>,
}

/// The root fields that each event sets.
const ECS_EVENT: &[&str] = &["@timestamp", "message", "stream", "log", "json"];
const FLUENTD_EVENT: &[&str] = &["@timestamp", "log", "stream", "json"];

/// The root fields that are objects of ours in any template, whether or not this container has them.
const ECS_ROOTS: &[&str] = &["kubernetes", "container", "host", "data_stream", "ecs", "skidder"];
const FLUENTD_ROOTS: &[&str] = &["kubernetes", "docker", "tag", "skidder"];

const BEFORE_TIME: &[u8] = br#"{"@timestamp":""#;

impl Template {
    /// Renders what is constant.
    pub fn new(settings: &DocumentSettings, subject: &Subject<'_>) -> Self {
        let (mut fields, events, roots) = match settings.schema {
            Schema::Ecs => (constants::ecs(settings, subject), ECS_EVENT, ECS_ROOTS),
            Schema::Fluentd => (constants::fluentd(settings, subject), FLUENTD_EVENT, FLUENTD_ROOTS),
        };
        let mut log = fields.take("log");
        for name in ["offset", "flags", "level"] {
            log.remove(name);
        }
        for name in events {
            fields.remove(name);
        }
        let fixed = events.iter().chain(roots).copied();
        let own = fixed.chain(fields.names()).map(str::to_owned).collect();
        let mut tail = Vec::new();
        fields.append_tail(&mut tail);
        tail.extend_from_slice(b"}\n");
        let after_message = [Stream::Stdout, Stream::Stderr, Stream::None].map(|stream| {
            let mut out = Vec::new();
            if stream != Stream::None {
                out.extend_from_slice(br#","stream":"#);
                escape::append(stream.name(), &mut out);
            }
            if settings.schema == Schema::Ecs {
                out.extend_from_slice(br#","log":{"#);
                let mut inside = Vec::new();
                log.append_tail(&mut inside);
                if let Some((_, inside)) = inside.split_first() {
                    out.extend_from_slice(inside);
                    out.push(b',');
                }
                out.extend_from_slice(br#""offset":"#);
            }
            out
        });
        let json = subject.json.unwrap_or(settings.json);
        Self { schema: settings.schema, json, after_message, tail, own }
    }

    /// Appends the event's document and a newline. Does not allocate for a message that is text.
    pub fn render(&self, event: &Event<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let object = match self.json {
            JsonMode::Off => None,
            JsonMode::Nested => scratch.read(event.message, event.utf8, Place::Nested),
            JsonMode::Merge => scratch.read(event.message, event.utf8, Place::Root),
        };
        match self.schema {
            Schema::Ecs => self.render_ecs(event, object, out),
            Schema::Fluentd => self.render_fluentd(event, object, out),
        }
        out.extend_from_slice(&self.tail);
    }

    fn render_ecs(&self, event: &Event<'_>, object: Option<Object<'_>>, out: &mut Vec<u8>) {
        let message = object.and_then(|object| object.find(&["message", "msg"], &[Kind::Text]));
        let levels = ["log.level", "level", "severity"];
        let level =
            object.and_then(|object| object.find(&levels, &[Kind::Text, Kind::Number, Kind::Fraction]));
        out.extend_from_slice(BEFORE_TIME);
        let good_time = time::append(event.time, out);
        out.extend_from_slice(br#"","message":"#);
        match message {
            Some(message) => out.extend_from_slice(message.value),
            None => escape::append_message(event.message, event.utf8, out),
        }
        out.extend_from_slice(&self.after_message[event.stream.index()]);
        append_decimal(event.span.start.offset, out);
        append_flags(event.flags, good_time, out);
        if let Some(level) = level {
            append_level(level, out);
        }
        out.push(b'}');
        if let Some(object) = object {
            let moved = |key: &[u8]| {
                message.is_some_and(|taken| taken.key == key)
                    || key == b"log.level" && level.is_some_and(|taken| taken.key == key)
            };
            self.append_object(object, moved, out);
        }
    }

    /// Fluentd's documents keep the line itself as `log`, so that nothing of it is taken out.
    fn render_fluentd(&self, event: &Event<'_>, object: Option<Object<'_>>, out: &mut Vec<u8>) {
        out.extend_from_slice(BEFORE_TIME);
        time::append(event.time, out);
        out.extend_from_slice(br#"","log":"#);
        escape::append_message(event.message, event.utf8, out);
        out.extend_from_slice(&self.after_message[event.stream.index()]);
        if let Some(object) = object {
            self.append_object(object, |_| false, out);
        }
    }

    /// Appends a message's fields to the document; in mode `merge` without those that `moved` says stand in it
    /// already.
    fn append_object(&self, object: Object<'_>, moved: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
        if self.json != JsonMode::Merge {
            out.extend_from_slice(br#","json":"#);
            out.extend_from_slice(object.text());
            return;
        }
        for member in object.members().filter(|member| !moved(member.key) && self.may_set(member)) {
            out.push(b',');
            append_member(member, out);
        }
        let mut inside = br#","json":{"#.as_slice();
        for member in object.members().filter(|member| !moved(member.key) && !self.may_set(member)) {
            out.extend_from_slice(inside);
            append_member(member, out);
            inside = b",";
        }
        if inside == b"," {
            out.push(b'}');
        }
    }

    /// Whether a message may set this field of the document's root.
    ///
    /// Not where it would be a second value of one of ours, or of a kind that one of ours is not; not
    /// Elasticsearch's own (`_id`); not an array of unlike things. `error` and `event` are objects in every
    /// template, so a message may only add texts to them, by dotted keys as ECS loggers do.
    fn may_set(&self, member: &Member<'_>) -> bool {
        let (first, rest) = match member.key.iter().position(|&byte| byte == b'.') {
            Some(dot) => (&member.key[..dot], &member.key[dot + 1..]),
            None => (member.key, &[][..]),
        };
        let is_own = self.own.iter().any(|own| own.as_bytes() == first);
        match (first, rest) {
            _ if first.starts_with(b"_") || member.kind == Kind::Mixed => false,
            (b"error" | b"event", b"" | b"original") => false,
            (b"error" | b"event", _) => member.kind == Kind::Text,
            (b"log", b"logger") if self.schema == Schema::Ecs => member.kind == Kind::Text,
            _ => !is_own,
        }
    }
}

fn append_member(member: Member<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(member.key);
    out.extend_from_slice(b"\":");
    out.extend_from_slice(member.value);
}

/// A level is a keyword, also where a logger writes numbers.
fn append_level(level: Member<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","level":"#);
    if level.kind != Kind::Text {
        out.push(b'"');
        out.extend_from_slice(level.value);
        out.push(b'"');
    } else {
        out.extend_from_slice(level.value);
    }
}

/// Appends `log.flags`, unless there is nothing to flag.
fn append_flags(flags: Flags, good_time: bool, out: &mut Vec<u8>) {
    if flags.is_empty() && good_time {
        return;
    }
    let mut before = br#","flags":["#.as_slice();
    let all = [
        (flags.multiline, "multiline"),
        (flags.truncated, "truncated"),
        (flags.partial, "partial"),
        (!good_time, "bad_time"),
    ];
    for (_, name) in all.iter().filter(|(set, _)| *set) {
        out.extend_from_slice(before);
        escape::append(name, out);
        before = b",";
    }
    out.push(b']');
}

/// Appends a number's decimal digits.
fn append_decimal(mut number: u64, out: &mut Vec<u8>) {
    // The longest is 18446744073709551615.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod judge;
#[cfg(test)]
mod tests;
