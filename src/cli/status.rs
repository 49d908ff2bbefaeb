//! `skidder status`: a running agent's `/status`, as a table as wide as the terminal.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use reqwest::{Client, Url};

use super::pretty::bytes;
use super::screen::{BAD, GOOD, Screen};
use super::{Failure, StatusArgs, runtime};
use crate::observe::{Complaint, FileState, FileStatus, OutputStatus, StatusPage};

/// How long an agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What goes before words that did not fit into a line.
const REST: &str = "    ";
/// The columns of the files: which container, and state, lag and rate. Whose it is has the rest of the line.
const CONTAINER: usize = 14;
const OTHERS: usize = CONTAINER + 31;

/// Asks the agent and shows what it says.
pub fn execute(args: &StatusArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let url = address(&args.url).map_err(Failure::Wrong)?;
    let body = runtime()?.block_on(ask(&url)).map_err(Failure::Failed)?;
    if args.json {
        out.write_all(body.trim_ascii_end())?;
        writeln!(out)?;
    } else {
        let page = serde_json::from_slice(&body)
            .map_err(|error| Failure::Failed(format!("{url} is no agent's status: {error}")))?;
        show(&page, Screen::stdout(), out)?;
    }
    Ok(out.flush()?)
}

/// Where the status is, of an agent's address as people write it: `node-1:9605`, `http://localhost:9605/`.
fn address(written: &str) -> Result<Url, String> {
    let text = if written.contains("://") { written.to_owned() } else { format!("http://{written}") };
    let wrong =
        |why: &str| format!("--url `{written}` is no address: {why}; write such as http://node-1:9605");
    let mut url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    if url.scheme() != "http" {
        return Err(wrong("agents answer over plain http"));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/status").unwrap_or(path);
    let path = format!("{path}/status");
    url.set_path(&path);
    Ok(url)
}

async fn ask(url: &Url) -> Result<Vec<u8>, String> {
    // Only this process' first client sets it; a second time it stays as it is.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: reqwest::Error| {
        let nobody = "; is the agent running, and is this its http.listen?";
        format!("cannot ask {url}: {}{}", root_cause(&error), if error.is_connect() { nobody } else { "" })
    };
    // Agents are asked within a cluster: a proxy would only stand in between. No certificates are wanted, lest their
    // absence from a slim image be an error.
    let client = Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT).build().map_err(failed)?;
    let response = client.get(url.clone()).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(format!("{url} answers {}; is this the agent's http.listen?", response.status()));
    }
    Ok(response.bytes().await.map_err(failed)?.to_vec())
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn show(page: &StatusPage, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "skidder {} ({}), running since {}", page.version, page.revision, second(&page.started))?;
    writeln!(out, "configuration {}", page.configuration.hash)?;
    if let Some(refused) = &page.configuration.refused {
        let first = format!("{} ", screen.painted("NOT APPLIED:", BAD));
        screen.wrapped(&first, REST, refused, out)?;
    }
    health(page, screen, out)?;
    for output in &page.outputs {
        show_output(output, screen, out)?;
    }
    write!(out, "{} acknowledged, {} to do", bytes(page.bytes.acknowledged), bytes(page.bytes.pending))?;
    match page.bytes.pending {
        0 => writeln!(out)?,
        _ => writeln!(out, ", the oldest {:.0} s old", page.oldest_unshipped_seconds)?,
    }
    for Complaint { namespace, pod, message } in &page.complaints {
        screen.wrapped(&format!("{namespace}/{pod}: "), REST, message, out)?;
    }
    show_files(&page.files, screen.width - OTHERS, out)
}

/// Ready, or why not; and what has died.
fn health(page: &StatusPage, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    for reason in &page.not_alive {
        screen.wrapped(&format!("{} ", screen.painted("NOT ALIVE:", BAD)), REST, reason, out)?;
    }
    for reason in &page.not_ready {
        screen.wrapped(&format!("{} ", screen.painted("NOT READY:", BAD)), REST, reason, out)?;
    }
    if page.not_alive.is_empty() && page.not_ready.is_empty() {
        writeln!(out, "{}", screen.painted("ready", GOOD))?;
    }
    Ok(())
}

fn show_output(output: &OutputStatus, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    screen.wrapped("output ", REST, &format!("{}: {}", output.name, output.state), out)?;
    match &output.last_error {
        Some(error) => {
            let words = format!("at {}: {}", second(&error.at), error.message);
            screen.wrapped("  last error ", REST, &words, out)
        }
        None => Ok(()),
    }
}

fn show_files(files: &[FileStatus], width: usize, out: &mut dyn Write) -> io::Result<()> {
    if files.is_empty() {
        return writeln!(out, "no files");
    }
    writeln!(out)?;
    row(["POD OR FILE", "CONTAINER", "STATE", "LAG", "READ"], width, out)?;
    for file in files {
        let whose = match file.pod.as_str() {
            "" => file.path.clone(),
            pod => format!("{}/{pod}", file.namespace),
        };
        let container = if file.container.is_empty() { "-" } else { &file.container };
        let state = match file.state {
            FileState::Active => "active",
            FileState::Rotated => "rotated",
            FileState::Deleted => "deleted",
        };
        row([&whose, container, state, &bytes(file.lag_bytes), &bytes(file.read_bytes)], width, out)?;
    }
    Ok(())
}

fn row([whose, container, state, lag, read]: [&str; 5], width: usize, out: &mut dyn Write) -> io::Result<()> {
    let (whose, container) = (end(whose, width), end(container, CONTAINER));
    writeln!(out, "{whose:width$} {container:CONTAINER$} {state:7} {lag:>10} {read:>10}")
}

/// The last `width` characters: what tells pods and paths apart stands at their end.
fn end(text: &str, width: usize) -> String {
    let surplus = text.chars().count().saturating_sub(width);
    if surplus == 0 {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(surplus + 1).collect();
    format!("…{kept}")
}

/// A time without its fraction.
fn second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (written, url) in [
            ("http://localhost:9605", "http://localhost:9605/status"),
            ("node-1:9605", "http://node-1:9605/status"),
            ("http://gateway/skidder/", "http://gateway/skidder/status"),
            ("http://[::1]:9605/status", "http://[::1]:9605/status"),
        ] {
            assert_eq!(address(written).unwrap().as_str(), url);
        }
        assert!(address("ftp://node-1").unwrap_err().contains("plain http"));
        assert!(address("").unwrap_err().contains("write such as"));
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(end("shop/web-1", 10), "shop/web-1");
        assert_eq!(end("shop/web-12", 10), "…op/web-12");
        assert_eq!(end("é/é", 2), "…é");
    }
}
