//! serde's data model over a [`Node`]: each error comes out with its line and the way to its key.
//!
//! A key without a value is as if it had not been written, so that its default holds. Scalars are read as what
//! the field wants them to be; quotes make no difference there.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::Fault;
use super::tree::{Entry, Node, Value};

type Result<T> = std::result::Result<T, Fault>;

impl Node {
    /// The scalar's text, or what was expected instead.
    fn text(&self, expected: &'static str) -> Result<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Ok(text),
            _ => Err(Fault::new(format!("must be {expected}, and is {}", self.kind()))),
        }
    }

    /// What it is, in words.
    fn kind(&self) -> String {
        match &self.value {
            _ if self.is_null() => "empty".into(),
            Value::Scalar { text, .. } => format!("`{text}`"),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
        }
    }

    /// Reads what kind of thing a plain scalar is, for fields that take any.
    fn any<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        match &self.value {
            _ if self.is_null() => visitor.visit_unit(),
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text => match (text.parse::<i64>(), text.parse::<f64>()) {
                    // A number that does not read back as it was written (`007`, `1e3`) is text.
                    (Ok(number), _) if number.to_string() == text => visitor.visit_i64(number),
                    (_, Ok(number)) if number.to_string() == text && number.is_finite() => {
                        visitor.visit_f64(number)
                    }
                    _ => visitor.visit_str(text),
                },
            },
            Value::Scalar { text, .. } => visitor.visit_str(text),
            Value::List(items) => list(items, visitor),
            // What is any JSON may say null: of an expected document, that a field is not there.
            Value::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
        }
    }
}

fn list<'de, V: Visitor<'de>>(items: &[Node], visitor: V) -> Result<V::Value> {
    visitor.visit_seq(Items { items: items.iter().enumerate() })
}

fn map<'de, V: Visitor<'de>>(entries: &[Entry], visitor: V) -> Result<V::Value> {
    let entries = entries.iter().filter(|entry| !entry.value.is_null());
    visitor.visit_map(Entries { entries, value: None })
}

/// A misspelt key is wrong without a value too.
fn check_empty_keys(entries: &[Entry], known: &'static [&'static str]) -> Result<()> {
    let misspelt = |entry: &&Entry| entry.value.is_null() && !known.contains(&entry.key.as_str());
    match entries.iter().find(misspelt) {
        Some(entry) => Err(Fault::unknown_field(&entry.key, known).on(entry.line).under(&entry.key)),
        None => Ok(()),
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.any(visitor).map_err(|fault| fault.on(self.line))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let read = match self.text("true or false") {
            Ok("true") => visitor.visit_bool(true),
            Ok("false") => visitor.visit_bool(false),
            _ => Err(Fault::new(format!("must be true or false, and is {}", self.kind()))),
        };
        read.map_err(|fault| fault.on(self.line))
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let number = self.text("a whole number").ok().and_then(|text| text.parse().ok());
        let wrong = || Fault::new(format!("must be a whole number, and is {}", self.kind()));
        number
            .ok_or_else(wrong)
            .and_then(|number| visitor.visit_u32(number))
            .map_err(|fault| fault.on(self.line))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.text("text").and_then(|text| visitor.visit_str(text)).map_err(|fault| fault.on(self.line))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let read = match &self.value {
            Value::List(items) => list(items, visitor),
            Value::Scalar { text, .. } if !self.is_null() => {
                Err(Fault::new(format!("must be a list; write [{}]", serde_json::json!(text))))
            }
            _ => Err(Fault::new(format!("must be a list, and is {}", self.kind()))),
        };
        read.map_err(|fault| fault.on(self.line))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let read = match &self.value {
            Value::Map(entries) => map(entries, visitor),
            _ if self.is_null() => map(&[], visitor),
            _ => Err(Fault::new(format!("must be keys with values, and is {}", self.kind()))),
        };
        read.map_err(|fault| fault.on(self.line))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if let Value::Map(entries) = &self.value {
            check_empty_keys(entries, fields)?;
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let read = match &self.value {
            Value::Scalar { text, .. } => visitor.visit_enum(Word { text, line: self.line }),
            Value::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(entry),
                [] => Err(Fault::new(format!("is empty; write one of {}", variants.join(", ")))),
                [first, second, ..] => {
                    let what = format!("`{}` and `{}` exclude each other; keep one", first.key, second.key);
                    Err(Fault::new(what).on(second.line))
                }
            },
            Value::List(_) => Err(Fault::invalid_type(Unexpected::Seq, &"one word")),
        };
        read.map_err(|fault| fault.on(self.line))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct identifier ignored_any
    }
}

/// The items of a list.
struct Items<'a, I: Iterator<Item = (usize, &'a Node)>> {
    items: I,
}

impl<'de, 'a, I: Iterator<Item = (usize, &'a Node)>> SeqAccess<'de> for Items<'a, I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let place = |fault: Fault| fault.on(item.line).under(&format!("[{index}]"));
        seed.deserialize(item).map(Some).map_err(place)
    }
}

/// The keys of a mapping that have a value.
struct Entries<'a, I: Iterator<Item = &'a Entry>> {
    entries: I,
    /// The entry whose key was given out and whose value was not.
    value: Option<&'a Entry>,
}

impl<'de, 'a, I: Iterator<Item = &'a Entry>> MapAccess<'de> for Entries<'a, I> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|fault| fault.on(entry.line).under(&entry.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let Some(entry) = self.value.take() else {
            return Err(Fault::new("a value was read before its key"));
        };
        seed.deserialize(&entry.value).map_err(|fault| fault.on(entry.line).under(&entry.key))
    }
}

/// A bare word as a choice among names; where the name has keys of its own, all keep their defaults.
struct Word<'a> {
    text: &'a str,
    line: usize,
}

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        Ok((seed.deserialize(StrDeserializer::<Fault>::new(self.text))?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(&Node::nothing(self.line)).map_err(|fault| fault.under(self.text))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        list(&[], visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        map(&[], visitor)
    }
}

/// `{ name: … }` as a choice among names.
impl<'de> EnumAccess<'de> for &Entry {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let key: StrDeserializer<'_, Fault> = self.key.as_str().into_deserializer();
        let name = seed.deserialize(key).map_err(|fault| fault.on(self.line).under(&self.key))?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for &Entry {
    type Error = Fault;

    fn unit_variant(self) -> Result<()> {
        Err(Fault::new(format!("write `{}` alone", self.key)).on(self.line))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(&self.value).map_err(|fault| fault.on(self.line).under(&self.key))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.value.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.value.deserialize_map(visitor)
    }
}
