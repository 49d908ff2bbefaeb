//! `${NAME}` and `${NAME:-default}` within a value.

use std::net::Ipv6Addr;

use super::error::Fault;

/// What stands behind a name: the environment, handed in.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Fills in `${NAME}` and `${NAME:-default}`; `$${` stands for `${` itself, and a `$` before anything else for
/// itself. What is filled in is not looked through again.
///
/// An empty variable is as good as none for `:-`, as in a shell. An IPv6 address right after `://` is put in
/// brackets, as a URL needs it.
pub(super) fn fill(text: &str, env: &Env<'_>) -> Result<String, Fault> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            filled.push_str(&rest[..at - 1]);
            filled.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        filled.push_str(&rest[..at]);
        let (value, after) = variable(&rest[at..], env)?;
        match value.parse::<Ipv6Addr>() {
            Ok(address) if filled.ends_with("://") => filled.push_str(&format!("[{address}]")),
            _ => filled.push_str(&value),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The value of the `${…}` that `text` begins with, and what follows it.
fn variable<'a>(text: &'a str, env: &Env<'_>) -> Result<(String, &'a str), Fault> {
    let Some((inside, after)) = text[2..].split_once('}') else {
        return Err(Fault::new(
            "has `${` without its `}`; close it, or write `$${` for the two characters themselves",
        ));
    };
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word) {
        // What stands there is not shown: it may be part of a secret.
        let what = "has `${…}` that is not `${NAME}` or `${NAME:-default}`; write `$${` for the two characters themselves";
        return Err(Fault::new(what));
    }
    let value = match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => default.to_owned(),
        (Some(value), _) => value,
        (None, Some(default)) => default.to_owned(),
        (None, None) => {
            return Err(Fault::new(format!(
                "the environment has no {name}; set it, or write a default: ${{{name}:-…}}"
            )));
        }
    };
    Ok((value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "NODE" => Some("node-1".into()),
            "EMPTY" => Some(String::new()),
            "V4" => Some("10.0.0.7".into()),
            "V6" => Some("fd00::1".into()),
            "ODD" => Some("${NODE}".into()),
            _ => None,
        }
    }

    #[test]
    fn names_are_filled_in() {
        for (text, filled) in [
            ("plain", "plain"),
            ("${NODE}", "node-1"),
            ("a-${NODE}-b-${NODE}", "a-node-1-b-node-1"),
            ("${NONE:-x}", "x"),
            ("${NONE:-}", ""),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${ODD}", "${NODE}"),
            ("$${NODE}", "${NODE}"),
            ("$$${NODE}", "$${NODE}"),
            ("^cost$ $5 $", "^cost$ $5 $"),
            ("https://${V4}:10250", "https://10.0.0.7:10250"),
            ("https://${V6}:10250", "https://[fd00::1]:10250"),
            ("https://[${V6}]:10250", "https://[fd00::1]:10250"),
            ("${V6}", "fd00::1"),
            ("é${NODE}é", "énode-1é"),
        ] {
            assert_eq!(fill(text, &env).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_says_why() {
        for (text, what) in [
            ("${NONE}", "the environment has no NONE; set it, or write a default: ${NONE:-…}"),
            ("${NODE", "without its `}`"),
            ("${}", "is not `${NAME}`"),
            ("${1}", "is not `${NAME}`"),
            ("${a b}", "is not `${NAME}`"),
        ] {
            let fault = fill(text, &env).unwrap_err();
            assert!(fault.message.contains(what), "{text}: {fault}");
        }
    }
}
