//! Messages that are JSON objects: read once, made safe to index, or left text.
//!
//! A reader walks the message and finds whatever Elasticsearch would refuse. From the first blank, or whatever else
//! is to be written in another way, it writes what it reads into a [`Scratch`]; most messages have none, and nothing
//! of them is copied. The outcome is an [`Object`] whose bytes can be put into a document as they are, or nothing,
//! and then the message stays what it was: text.
//!
//! | found | outcome |
//! | --- | --- |
//! | a key given twice | the last counts |
//! | blanks and line breaks between tokens | left out |
//! | a number that 64 bits cannot hold | a string with the same digits (nested); text (merge) |
//! | an empty or blank key, or part of a dotted key; NUL in a key; a key too long | text |
//! | deeper than [`MAX_DEPTH`], a value longer than [`MAX_VALUE`] | text |
//! | half of a surrogate pair; anything that is not JSON, or more behind it | text |
//! | merge: more keys than [`MAX_MERGED_KEYS`]; `a` beside `a.b` | text |
//! | merge: an array of unlike things; a key that is not the message's to set | under `json` |

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::escape;
use grammar::{check_key, escape_length, fits, is_blank, is_whole, number_length};

mod grammar;

/// How deep objects and arrays may lie in each other, the message's own object included. Elasticsearch's
/// `index.mapping.depth.limit` and flattened fields' `depth_limit` are 20, and `json` itself is one.
pub const MAX_DEPTH: usize = 19;

/// How long a string may be, with the keys that lead to it. Lucene's longest term is 32,766 bytes, and a
/// flattened field's term is `path\0value`.
pub const MAX_VALUE: usize = 32_000;

/// How long a key may be.
pub const MAX_KEY: usize = 512;

/// How many keys a message may bring into the root of documents: `index.mapping.total_fields.limit` is 1,000 for
/// all fields of an index.
pub const MAX_MERGED_KEYS: usize = 256;

/// Where the fields of a message go, which decides what is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Under `json`, which templates map as `flattened`: all leaves are keywords.
    Nested,
    /// Into the document's root, where Elasticsearch guesses the type of each new field.
    Root,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number that 64 bits hold.
    Number,
    /// A number with a fraction or an exponent that they hold: beside a whole one in an array it is unlike, as
    /// Elasticsearch guesses `long` for the one and `float` for the other.
    Fraction,
    /// `true` or `false`.
    Boolean,
    /// `null`, or an array of nothing else: fits any type.
    Null,
    /// An object, or an array of objects.
    Object,
    /// An array of unlike things, which no single type takes.
    Mixed,
}

impl Kind {
    /// What an array is that holds both.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (one, other) if one == other => one,
            _ => Self::Mixed,
        }
    }
}

/// One field of an object, as places in [`Object::text`].
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The hash of the key: equal keys are found by it.
    hash: u64,
    /// The key's opening quote.
    start: usize,
    /// The value's first byte.
    value: usize,
    /// The byte after the value.
    end: usize,
    /// What the value is.
    kind: Kind,
}

/// The buffers of the reader, used again for each message.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The message without blanks, up to [`Reader::copied`].
    text: Vec<u8>,
    /// The fields of all objects that are open; at the end those of the message's own.
    entries: Vec<Entry>,
}

/// A message that is a JSON object and safe to index.
#[derive(Clone, Copy, Debug)]
pub struct Object<'s> {
    text: &'s [u8],
    entries: &'s [Entry],
}

/// One field of an [`Object`].
#[derive(Clone, Copy, Debug)]
pub struct Member<'s> {
    /// The key as JSON without its quotes. Equal keys are equal bytes.
    pub key: &'s [u8],
    /// The value as JSON.
    pub value: &'s [u8],
    /// What the value is.
    pub kind: Kind,
}

impl<'s> Object<'s> {
    /// The whole object as JSON.
    pub fn text(&self) -> &'s [u8] {
        self.text
    }

    /// Its fields.
    pub fn members(&self) -> impl Iterator<Item = Member<'s>> {
        let text = self.text;
        self.entries.iter().map(move |entry| Member {
            key: &text[entry.start + 1..entry.value - 2],
            value: &text[entry.value..entry.end],
            kind: entry.kind,
        })
    }

    /// The first of these keys whose value is of one of these kinds and no array.
    pub fn find(&self, keys: &[&str], kinds: &[Kind]) -> Option<Member<'s>> {
        let fits = |member: &Member<'_>| kinds.contains(&member.kind) && member.value.first() != Some(&b'[');
        keys.iter().find_map(|key| self.members().find(|member| member.key == key.as_bytes() && fits(member)))
    }
}

impl Scratch {
    /// Reads a message. `None` when it is no JSON object, or none that could be indexed: then it is text.
    /// `utf8` tells that it is known to be valid UTF-8.
    ///
    /// A message that does not begin with a brace costs a look at its first byte.
    pub fn read<'s>(&'s mut self, message: &'s [u8], utf8: bool, place: Place) -> Option<Object<'s>> {
        if message.first() != Some(&b'{') {
            return None;
        }
        self.text.clear();
        self.entries.clear();
        let valid = escape::valid(message, utf8);
        let mut reader =
            Reader { message: &valid, rest: &valid, copied: 0, scratch: &mut *self, place, keys: 0 };
        reader.object(1, 0)?;
        if !reader.rest.iter().all(|&byte| is_blank(byte)) {
            return None;
        }
        let end = reader.at();
        if reader.copied == 0 && matches!(valid, Cow::Borrowed(_)) {
            return Some(Object { text: &message[..end], entries: &self.entries });
        }
        reader.copy();
        Some(Object { text: &self.text, entries: &self.entries })
    }
}

/// Walks a message; each method reads one thing, and says `None` when the message must stay text.
struct Reader<'m, 's> {
    message: &'m [u8],
    /// What is not read yet.
    rest: &'m [u8],
    /// How much of the message is in the scratch, or was left out there. What was read since is still to be copied,
    /// just as it is.
    copied: usize,
    scratch: &'s mut Scratch,
    place: Place,
    /// Keys seen, in all objects.
    keys: usize,
}

impl<'m> Reader<'m, '_> {
    /// How much of the message was read.
    fn at(&self) -> usize {
        self.message.len() - self.rest.len()
    }

    /// Where in the outcome stands what comes next.
    fn offset(&self) -> usize {
        self.scratch.text.len() + self.at() - self.copied
    }

    /// Copies what was read, so that something else than the message can follow.
    fn copy(&mut self) {
        let at = self.at();
        self.scratch.text.extend_from_slice(&self.message[self.copied..at]);
        self.copied = at;
    }

    /// Reads so many bytes that are left out.
    fn skip(&mut self, count: usize) {
        self.copy();
        self.rest = &self.rest[count..];
        self.copied += count;
    }

    /// An object; `path` is the length of the keys that lead to it.
    fn object(&mut self, depth: usize, path: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.open(b'{')?;
        let first = self.scratch.entries.len();
        if !self.close(b'}') {
            loop {
                let entry = self.member(depth, path)?;
                self.scratch.entries.push(entry);
                if self.close(b'}') {
                    break;
                }
                self.open(b',')?;
            }
        }
        self.settle(first)?;
        if depth > 1 {
            self.scratch.entries.truncate(first);
        }
        Some(())
    }

    fn member(&mut self, depth: usize, path: usize) -> Option<Entry> {
        self.keys += 1;
        if self.place == Place::Root && self.keys > MAX_MERGED_KEYS {
            return None;
        }
        self.blank();
        let start = self.offset();
        let hash = self.key()?;
        let path = path + self.offset() - start;
        self.open(b':')?;
        let value = self.offset();
        let kind = self.value(depth, path)?;
        Some(Entry { hash, start, value, end: self.offset(), kind })
    }

    fn value(&mut self, depth: usize, path: usize) -> Option<Kind> {
        self.blank();
        match self.rest.first()? {
            b'"' => {
                let (text, _) = self.string()?;
                (path + text.len() <= MAX_VALUE).then_some(Kind::Text)
            }
            b'{' => {
                self.object(depth + 1, path)?;
                Some(Kind::Object)
            }
            b'[' => self.array(depth + 1, path),
            b't' => self.word(b"true", Kind::Boolean),
            b'f' => self.word(b"false", Kind::Boolean),
            b'n' => self.word(b"null", Kind::Null),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize, path: usize) -> Option<Kind> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.open(b'[')?;
        let mut kind = Kind::Null;
        if !self.close(b']') {
            loop {
                kind = kind.and(self.value(depth, path)?);
                if self.close(b']') {
                    break;
                }
                self.open(b',')?;
            }
        }
        Some(kind)
    }

    /// A key, written in the one way that all equal keys are written; its hash.
    fn key(&mut self) -> Option<u64> {
        let before = self.rest;
        let (key, escaped) = self.string()?;
        if !escaped {
            check_key(key)?;
            return Some(xxh3_64(key));
        }
        let plain: String = serde_json::from_slice(&before[..key.len() + 2]).ok()?;
        check_key(plain.as_bytes())?;
        self.rest = before;
        self.skip(key.len() + 2);
        let start = self.scratch.text.len();
        escape::append(&plain, &mut self.scratch.text);
        Some(xxh3_64(&self.scratch.text[start + 1..self.scratch.text.len() - 1]))
    }

    /// A string's inside as it stands, and whether there is an escape in it.
    fn string(&mut self) -> Option<(&'m [u8], bool)> {
        let inside = self.rest.strip_prefix(b"\"")?;
        let mut length = 0;
        let mut escaped = false;
        loop {
            length += escape::plain_run(&inside[length..]);
            match inside.get(length)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    length += escape_length(&inside[length..])?;
                }
                // A control character, which JSON wants escaped.
                _ => return None,
            }
        }
        self.rest = &inside[length + 1..];
        Some((&inside[..length], escaped))
    }

    fn number(&mut self) -> Option<Kind> {
        let length = number_length(self.rest)?;
        let (number, rest) = self.rest.split_at(length);
        if fits(number) {
            self.rest = rest;
            return Some(if is_whole(number) { Kind::Number } else { Kind::Fraction });
        }
        if self.place == Place::Root || length > MAX_VALUE {
            return None;
        }
        self.skip(length);
        self.scratch.text.push(b'"');
        self.scratch.text.extend_from_slice(number);
        self.scratch.text.push(b'"');
        Some(Kind::Text)
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<Kind> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(kind)
    }

    /// Reads one byte of punctuation, which must be there.
    #[inline(always)]
    fn open(&mut self, byte: u8) -> Option<()> {
        self.close(byte).then_some(())
    }

    /// Reads one byte of punctuation, if it is there.
    #[inline(always)]
    fn close(&mut self, byte: u8) -> bool {
        self.blank();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn blank(&mut self) {
        // Anything else that is so low is no JSON either.
        if self.rest.first().is_some_and(|&byte| byte <= b' ') {
            self.skip(self.rest.iter().take_while(|&&byte| is_blank(byte)).count());
        }
    }

    /// Settles the object whose fields begin at `first`: of a key given twice the last stays.
    fn settle(&mut self, first: usize) -> Option<()> {
        let entries = &self.scratch.entries[first..];
        if has_twins(entries) {
            self.copy();
            self.drop_twins(first);
        }
        if self.place == Place::Root {
            self.copy();
            let entries = &self.scratch.entries[first..];
            return (!has_both_leaf_and_object(entries, &self.scratch.text)).then_some(());
        }
        Some(())
    }

    /// Writes the object anew without the fields whose key comes again.
    fn drop_twins(&mut self, first: usize) {
        let Scratch { text, entries } = &mut *self.scratch;
        let old = entries.split_off(first);
        let begin = old[0].start;
        let inside = text.split_off(begin);
        for (index, entry) in old.iter().enumerate() {
            if old[index + 1..].iter().any(|later| later.hash == entry.hash) {
                continue;
            }
            if entries.len() > first {
                text.push(b',');
            }
            let start = text.len();
            text.extend_from_slice(&inside[entry.start - begin..entry.end - begin]);
            let moved = |place: usize| place - entry.start + start;
            entries.push(Entry { start, value: moved(entry.value), end: moved(entry.end), ..*entry });
        }
        text.push(b'}');
    }
}

/// Whether a key is given twice.
fn has_twins(entries: &[Entry]) -> bool {
    /// Up to here comparing each with each is faster than sorting.
    const FEW: usize = 24;
    if entries.len() <= FEW {
        // A bit for each hash: only where it was set before is there something to compare.
        let mut seen = 0_u64;
        return entries.iter().enumerate().any(|(index, entry)| {
            let bit = 1 << (entry.hash % 64);
            let may_be = seen & bit != 0;
            seen |= bit;
            may_be && entries[..index].iter().any(|earlier| earlier.hash == entry.hash)
        });
    }
    let mut hashes: Vec<u64> = entries.iter().map(|entry| entry.hash).collect();
    hashes.sort_unstable();
    hashes.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether one key is the beginning of another's dotted path, such as `a` and `a.b`: one field would have to be
/// both a value and an object.
fn has_both_leaf_and_object(entries: &[Entry], text: &[u8]) -> bool {
    let key = |entry: &Entry| &text[entry.start + 1..entry.value - 2];
    entries.iter().any(|entry| {
        let long = key(entry);
        long.contains(&b'.')
            && entries
                .iter()
                .any(|other| long.strip_prefix(key(other)).is_some_and(|rest| rest.first() == Some(&b'.')))
    })
}
