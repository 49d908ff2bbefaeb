//! Colours, and text that cannot harm a terminal.

use super::hash;

/// What a piece of text is; how that looks is known here alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As the terminal has it.
    Plain,
    /// Less important than the rest: times, namespaces, frames of a trace.
    Faint,
    /// The name of a field.
    Key,
    /// What `--grep` found.
    Match,
    /// Standard error.
    Stderr,
    /// A level of information.
    Good,
    /// A warning.
    Warning,
    /// An error.
    Bad,
    /// Worse than an error.
    Worst,
    /// A pod's name, in its own colour.
    Pod(u8),
    /// A container's name, in its pod's colour.
    Container(u8),
}

/// The colours of pods: all of the sixteen that any terminal has, but red (errors), white, black and grey.
const PODS: [u8; 9] = [32, 33, 34, 35, 36, 92, 94, 95, 96];

impl Style {
    /// The colour of a pod: made from its name, so the same in each run and on each machine.
    pub(super) fn pod(namespace: &str, pod: &str) -> (Self, Self) {
        let colour = PODS[(hash(&[namespace, pod]) % PODS.len() as u64) as usize];
        (Self::Pod(colour), Self::Container(colour))
    }

    /// Starts the style; gives whether it must be ended.
    fn begin(self, out: &mut Vec<u8>) -> bool {
        let code = match self {
            Self::Plain => return false,
            Self::Faint => "2",
            Self::Key => "36",
            Self::Match => "1;31",
            Self::Stderr | Self::Bad => "31",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Worst => "1;31;7",
            Self::Pod(colour) | Self::Container(colour) => {
                out.extend_from_slice(b"\x1b[");
                if matches!(self, Self::Pod(_)) {
                    out.extend_from_slice(b"1;");
                }
                out.extend_from_slice(colour.to_string().as_bytes());
                out.push(b'm');
                return true;
            }
        };
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(code.as_bytes());
        out.push(b'm');
        true
    }
}

const RESET: &[u8] = b"\x1b[0m";

/// Whether colours are written; all text goes through here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) color: bool,
}

impl Paint {
    /// Writes text in a style. Its own colours pass when colours are on and are left out when not; every other
    /// control character is made visible, as `^[` or `<U+0085>`.
    pub(super) fn text(self, style: Style, text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let styled = self.color && style.begin(out);
        let coloured = self.harmless(text, out);
        if styled || coloured {
            out.extend_from_slice(RESET);
        }
    }

    /// Writes text; gives whether colours of its own were among it.
    fn harmless(self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let mut coloured = false;
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| may_harm(*byte)) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            if let Some(length) = colour_length(rest) {
                if self.color {
                    out.extend_from_slice(&rest[..length]);
                    coloured = true;
                }
                rest = &rest[length..];
                continue;
            }
            let length = match *rest {
                [0xc2, low @ 0x80..=0x9f, ..] => {
                    visible(u32::from(low), out);
                    2
                }
                [0xe2, 0x80, low @ 0xaa..=0xae, ..] => {
                    visible(0x2000 + u32::from(low - 0x80), out);
                    3
                }
                [0xe2, 0x81, low @ 0xa6..=0xa9, ..] => {
                    visible(0x2040 + u32::from(low - 0x80), out);
                    3
                }
                [byte @ (0..=0x1f | 0x7f), ..] => {
                    out.extend_from_slice(&[b'^', byte ^ 0x40]);
                    1
                }
                [byte, ..] => {
                    out.push(byte);
                    1
                }
                [] => break,
            };
            rest = &rest[length..];
        }
        out.extend_from_slice(rest);
        coloured
    }
}

/// Whether a byte is, or may begin, something that a terminal obeys: control characters of ASCII (but the tab) and
/// of Latin 1 (U+0080 to U+009F), and marks that turn the direction of the text (U+202A to U+202E, U+2066 to U+2069).
fn may_harm(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || matches!(byte, 0x7f | 0xc2 | 0xe2)
}

/// The length of the escape sequence at the start of the text, if it sets colours and nothing else.
fn colour_length(text: &[u8]) -> Option<usize> {
    let parameters = text.strip_prefix(b"\x1b[")?;
    let end = parameters.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (parameters[end] == b'm').then_some(b"\x1b[".len() + end + 1)
}

fn visible(code: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<U+{code:04X}>").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(color: bool, text: &str) -> String {
        let mut out = Vec::new();
        Paint { color }.text(Style::Plain, text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn colours_pass_and_nothing_else() {
        let message = "\x1b[32mok\x1b[0m \x1b[2J\x1b]0;title\x07 a\tb\r \u{9b}1m \u{202e}x é ☕ \0";
        assert_eq!(painted(false, message), "ok ^[[2J^[]0;title^G a\tb^M <U+009B>1m <U+202E>x é ☕ ^@");
        assert_eq!(
            painted(true, message),
            "\x1b[32mok\x1b[0m ^[[2J^[]0;title^G a\tb^M <U+009B>1m <U+202E>x é ☕ ^@\x1b[0m"
        );
    }

    #[test]
    fn a_pod_keeps_its_colour() {
        assert_eq!(Style::pod("shop", "cart-1"), Style::pod("shop", "cart-1"));
        let colours: std::collections::HashSet<_> =
            (0..100).map(|n| format!("{:?}", Style::pod("shop", &format!("cart-{n}")))).collect();
        assert_eq!(colours.len(), PODS.len());
    }
}
