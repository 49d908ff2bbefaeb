//! What must hold between keys: checked once, when all of them are read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;

use super::error::Fault;
use super::tree::Node;
use super::units::show_size;
use super::{Config, Format, Output};

/// Looks for the first thing that does not fit; `root` knows the lines.
pub(super) fn check(config: &Config, root: &Node) -> Result<(), Fault> {
    let wrong = |key: &str, message: String| Err(Fault::new(message).on(root.line_of(key)).under(key));
    if config.data_dir.as_os_str().is_empty() {
        return wrong("data_dir", "is empty; write a folder".into());
    }
    if config.files.is_empty() {
        return wrong(
            "files",
            "is an empty list, so nothing would be read; remove it, or add a block".into(),
        );
    }
    for (index, block) in config.files.iter().enumerate() {
        if block.include.is_empty() {
            return wrong(&format!("files[{index}].include"), "is an empty list; add a path".into());
        }
        if !block.time.is_empty() && matches!(block.format, Format::Cri | Format::Docker) {
            let message = "is for plain files, and this block's format brings its own time; remove it".into();
            return wrong(&format!("files[{index}].time"), message);
        }
        must_fit(&format!("files[{index}].max_line_bytes"), block.max_line_bytes, config, root)?;
    }
    must_fit("multiline.max_bytes", config.multiline.max_bytes, config, root)?;
    if let Output::Elasticsearch(output) = &config.output {
        must_fit("output.elasticsearch.batch.max_bytes", output.batch.max_bytes, config, root)?;
    }
    let pod = &config.kubernetes.pod;
    let told = [pod.namespace.is_some(), pod.uid.is_some(), pod.ip.is_some(), pod.podinfo.is_some()];
    if pod.name.is_none() && told.contains(&true) {
        let message = "is missing, so the rest is of no pod; write `name: ${POD_NAME}`".into();
        return wrong("kubernetes.pod.name", message);
    }
    let mut names = BTreeSet::new();
    for (index, pattern) in config.multiline.patterns.iter().enumerate() {
        if !names.insert((&pattern.name, format!("{:?}", pattern.selector))) {
            let message = format!("`{}` is there twice for the same containers; keep one", pattern.name);
            return wrong(&format!("multiline.patterns[{index}].name"), message);
        }
    }
    for name in ["@timestamp", "message", "data_stream"] {
        if config.events.add_fields.contains_key(name) {
            let message = "is the event's own, so it cannot be added; choose another name".into();
            return wrong(&format!("events.add_fields.{name}"), message);
        }
    }
    Ok(())
}

/// What cannot be held in memory could never be shipped.
fn must_fit(key: &str, bytes: u64, config: &Config, root: &Node) -> Result<(), Fault> {
    if bytes <= config.max_buffered_bytes {
        return Ok(());
    }
    // The one that was written is the one to change; where both were, the part and not the whole.
    let (all, part) = (show_size(config.max_buffered_bytes), show_size(bytes));
    if root.written(key) {
        let message =
            format!("{part} is more than max_buffered_bytes ({all}); write less here, or more there");
        return Err(Fault::new(message).on(root.line_of(key)).under(key));
    }
    let whole = "max_buffered_bytes";
    let message = format!("{all} is less than {key} ({part}); write more here, or less there");
    Err(Fault::new(message).on(root.line_of(whole)).under(whole))
}

/// Looks whether the secrets of the output can be read and hold something.
pub(super) fn check_secrets(config: &Config, root: &Node) -> Result<(), Fault> {
    let Output::Elasticsearch(output) = &config.output else { return Ok(()) };
    for (name, path) in output.files() {
        let key = format!("output.elasticsearch.{name}");
        let mut text = Vec::new();
        let wrong = |why: &str| {
            let message = format!(
                "cannot read {} ({why}); put the file there, or let this user read it",
                path.display()
            );
            Err(Fault::new(message).on(root.line_of(&key)).under(&key))
        };
        match File::open(path).and_then(|mut file| file.read_to_end(&mut text)) {
            Err(error) => return wrong(&super::plain_words(&error)),
            Ok(_) if text.trim_ascii().is_empty() => return wrong("it is empty"),
            Ok(_) => {}
        }
    }
    Ok(())
}
