//! A JSON object under construction that keeps the order in which its fields were set.

use serde_json::{Map, Value};

use super::escape;

/// The object. Only used when a [`Template`](super::Template) is made, never per event.
#[derive(Debug, Default)]
pub struct Fields(Vec<(String, Field)>);

#[derive(Debug)]
enum Field {
    /// Rendered JSON that is no object.
    Leaf(Vec<u8>),
    Object(Fields),
}

impl Fields {
    /// The object at `name`, made if it is not there. What stood there as a leaf gives way.
    pub fn object(&mut self, name: &str) -> &mut Self {
        let index = self.index(name);
        if !matches!(self.0[index].1, Field::Object(_)) {
            self.0[index].1 = Field::Object(Self::default());
        }
        match &mut self.0[index].1 {
            Field::Object(fields) => fields,
            Field::Leaf(_) => unreachable!("made an object just above"),
        }
    }

    /// Sets a text, unless it is empty: a field that says nothing is left out.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        if !text.is_empty() {
            let mut json = Vec::new();
            escape::append(text, &mut json);
            self.leaf(name, json);
        }
        self
    }

    /// Sets a value that is rendered already.
    pub fn leaf(&mut self, name: &str, json: Vec<u8>) -> &mut Self {
        let index = self.index(name);
        self.0[index].1 = Field::Leaf(json);
        self
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| own != name);
    }

    /// Takes an object out; empty when there is none.
    pub fn take(&mut self, name: &str) -> Self {
        let Some(index) = self.0.iter().position(|(own, _)| own == name) else { return Self::default() };
        match self.0.remove(index).1 {
            Field::Object(fields) => fields,
            Field::Leaf(_) => Self::default(),
        }
    }

    /// Adds what is not there yet, object by object: what was set stays.
    pub fn add(&mut self, extra: &Map<String, Value>) {
        for (name, value) in extra {
            let known = self.0.iter().any(|(own, _)| own == name);
            match value {
                Value::Object(inner) => {
                    if !known || matches!(self.0[self.position(name)].1, Field::Object(_)) {
                        self.object(name).add(inner);
                    }
                }
                _ if known => {}
                leaf => {
                    self.leaf(name, leaf.to_string().into_bytes());
                }
            }
        }
    }

    /// The names at this level.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Appends `,"name":value` for each field.
    pub fn append_tail(&self, out: &mut Vec<u8>) {
        for (name, field) in &self.0 {
            out.push(b',');
            field.append_named(name, out);
        }
    }

    /// Appends the object, braces included.
    fn append(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, field)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            field.append_named(name, out);
        }
        out.push(b'}');
    }

    fn position(&self, name: &str) -> usize {
        self.0.iter().position(|(own, _)| own == name).unwrap_or(self.0.len())
    }

    fn index(&mut self, name: &str) -> usize {
        let index = self.position(name);
        if index == self.0.len() {
            self.0.push((name.to_owned(), Field::Leaf(b"null".to_vec())));
        }
        index
    }
}

impl Field {
    fn append_named(&self, name: &str, out: &mut Vec<u8>) {
        escape::append(name, out);
        out.push(b':');
        match self {
            Self::Leaf(json) => out.extend_from_slice(json),
            Self::Object(fields) => fields.append(out),
        }
    }
}
