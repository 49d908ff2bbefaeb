//! The terminal that a command writes to: how wide it is, whether it has colours.

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use super::Color;

/// The narrowest and the widest that is written for: below, lines break anyhow; beyond, eyes lose the line.
const WIDTHS: (usize, usize) = (80, 200);

/// What is as it should be: green.
pub const GOOD: &str = "32";
/// What is not: red.
pub const BAD: &str = "1;31";

/// Where a command's words appear.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns; 80 where it is no terminal.
    pub width: usize,
    coloured: bool,
}

impl Screen {
    /// Standard output.
    pub fn stdout() -> Self {
        let out = io::stdout();
        let columns = match tcgetwinsize(&out) {
            Ok(size) if out.is_terminal() => usize::from(size.ws_col),
            _ => 0,
        };
        Self { width: columns.clamp(WIDTHS.0, WIDTHS.1), coloured: Color::Auto.is_on() }
    }

    /// Text in a style of the terminal's, where it has colours.
    pub fn painted(self, text: &str, style: &str) -> String {
        if self.coloured { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Writes words after `first`, and after `rest` in each further line; no line is longer than the screen is wide where
    /// its words allow it.
    pub fn wrapped(self, first: &str, rest: &str, words: &str, out: &mut dyn Write) -> io::Result<()> {
        let (mut line, mut column, mut is_empty) = (first.to_owned(), columns(first), true);
        for word in words.split_whitespace() {
            let length = word.chars().count();
            if !is_empty && column + 1 + length > self.width {
                writeln!(out, "{line}")?;
                (line, column, is_empty) = (rest.to_owned(), rest.chars().count(), true);
            }
            if !is_empty {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += length;
            is_empty = false;
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// The columns that a text takes, colours aside.
fn columns(text: &str) -> usize {
    let mut parts = text.split("\x1b[");
    let plain = parts.next().unwrap_or_default();
    let after = parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text));
    plain.chars().count() + after.map(|text| text.chars().count()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        let screen = Screen { width: 80, coloured: true };
        let words = "elasticsearch takes nothing ".repeat(9);
        let mut out = Vec::new();
        let first = format!("NOT READY {} ", screen.painted("now", BAD));
        screen.wrapped(&first, "    ", &words, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap().replace("\x1b[1;31m", "").replace("\x1b[0m", "");
        assert!(text.lines().all(|line| line.len() <= 80) && text.lines().count() == 4, "{text}");
        let told: Vec<_> = text.split_whitespace().skip(3).collect();
        assert_eq!(told, words.split_whitespace().collect::<Vec<_>>());
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text}");
    }

    #[test]
    fn without_colour_text_is_as_it_is() {
        let screen = Screen { width: 80, coloured: false };
        assert_eq!(screen.painted("ok", GOOD), "ok");
    }
}
