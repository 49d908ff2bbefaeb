//! What is wrong with a configuration, in one line for a person.

use std::fmt;

/// What is wrong with a configuration: `file:line: key: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named, or the environment variable that is wrong.
    pub file: String,
    /// The line, counted from 1; `None` where it is not about a line.
    pub line: Option<usize>,
    /// The key with the way to it, such as `files[0].include`; empty where it is not about a key.
    pub key: String,
    /// What is wrong and what to do, without a newline.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A [`ConfigError`] on its way up: the place becomes known from the inside out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub line: Option<usize>,
    pub path: String,
    pub message: String,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Self { line: None, path: String::new(), message: message.into() }
    }

    /// Says the line, unless a line nearer to what is wrong is known.
    pub fn on(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Puts a key or `[index]` before the path.
    pub fn under(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    /// Says the file: the error is complete.
    pub fn in_file(self, file: &str) -> ConfigError {
        // A user's own text within the message may hold newlines; an error is one line.
        let message = self.message.replace('\n', "\\n");
        ConfigError { file: file.to_owned(), line: self.line, key: self.path, message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("must be {expected}, and is {unexpected}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("no such key; {}", instead(field, expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not known; {}", instead(variant, expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is missing; add it"))
    }
}

/// What to write in place of a word that is not known: the nearest that is, or all of them.
pub(super) fn instead(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "nothing may stand here".into(),
        None => format!("write one of {}", known.join(", ")),
    }
}

/// The known word that a misspelt one is nearest to; `None` when none is near.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // `maxBytes` and `max-bytes` are habits from elsewhere, not misspellings: only the letters count.
    let letters =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let word = letters(word);
    let distance = |known: &str| strsim::damerau_levenshtein(&word, &letters(known));
    let (distance, near) = known.iter().map(|known| (distance(known), *known)).min()?;
    let kin = !word.is_empty() && known.iter().filter(|known| letters(known).starts_with(&word)).count() == 1;
    if distance <= 1 + word.len() / 4 {
        return Some(near);
    }
    known.iter().copied().find(|known| kin && letters(known).starts_with(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_put_together_from_the_inside_out() {
        let fault = Fault::new("bad").under("max_bytes").on(7).under("[2]").under("files").on(1);
        assert_eq!(fault.in_file("a.yaml").to_string(), "a.yaml:7: files[2].max_bytes: bad");
        assert_eq!(Fault::new("bad").in_file("$SKIDDER_LOG").to_string(), "$SKIDDER_LOG: bad");
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["include", "exclude", "max_line_bytes", "format"];
        assert_eq!(nearest("inclde", &known), Some("include"));
        assert_eq!(nearest("maxLineBytes", &known), Some("max_line_bytes"));
        assert_eq!(nearest("max_line", &known), Some("max_line_bytes"));
        assert_eq!(nearest("fromat", &known), Some("format"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
