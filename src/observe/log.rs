//! The agent's own log, to standard error: sentences for a person on a terminal, JSON with ECS names elsewhere.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::event::time::rfc3339;

/// Overrides `log.level`.
pub const LEVEL_VARIABLE: &str = "SKIDDER_LOG";
/// ECS's version, as in documents.
const ECS_VERSION: &str = "8.11.0";

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// Lines for a person.
    Text,
    /// One JSON object a line, with ECS names.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error(
        "`{level}` is not a level: error, warn, info, debug, trace, or parts such as skidder::tail=debug"
    )]
    Level {
        /// What was given.
        level: String,
    },
    /// The log was set up before.
    #[error("the log is set up already")]
    Twice,
}

/// Changes the level of a running log.
#[derive(Clone, Debug)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Sets up the log of this process. `level` is `log.level`; `SKIDDER_LOG` counts more when it is set and not empty.
///
/// # Errors
/// [`LogError`]
pub fn start(level: &str, format: Format) -> Result<Log, LogError> {
    let terminal = io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let lines = match format {
        Format::Text => text(lines, colour),
        Format::Auto if terminal => text(lines, colour),
        Format::Auto | Format::Json => lines.event_format(Ecs).boxed(),
    };
    let subscriber = Registry::default().with(filter).with(lines);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    Ok(Log { filter: handle })
}

impl Log {
    /// Applies another `log.level`.
    ///
    /// # Errors
    /// [`LogError::Level`]; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        // It can only fail when the process has no log any more, and then nothing is to be set.
        let _ = self.filter.reload(filter(level)?);
        Ok(())
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let set = std::env::var(LEVEL_VARIABLE).ok().filter(|set| !set.is_empty());
    let level = set.as_deref().unwrap_or(level);
    // A mere level is meant for us: of the libraries nobody wants to see more than `info`.
    let directives = match level.parse::<Level>() {
        Ok(Level::DEBUG | Level::TRACE) => format!("info,skidder={level}"),
        _ => level.to_owned(),
    };
    EnvFilter::try_new(directives).map_err(|_| LogError::Level { level: level.to_owned() })
}

/// Lines for a person.
fn text<S, W>(
    lines: tracing_subscriber::fmt::Layer<
        S,
        tracing_subscriber::fmt::format::DefaultFields,
        tracing_subscriber::fmt::format::Format,
        W,
    >,
    colour: bool,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    lines.with_ansi(colour).with_target(false).with_timer(Clock).boxed()
}

/// The time in UTC to the millisecond.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        to.write_str(&now())
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = rfc3339(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    // ASCII, so the conversion copies.
    format!("{}Z", String::from_utf8_lossy(&text[..23]))
}

/// One JSON object a line.
struct Ecs;

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let logger = event.metadata().target();
        write!(
            to,
            r#"{{"@timestamp":"{}","log.level":"{level}","message":{}"#,
            now(),
            json(&fields.message)
        )?;
        write!(to, r#","ecs.version":"{ECS_VERSION}","log.logger":{}{}}}"#, json(logger), fields.rest)?;
        writeln!(to)
    }
}

/// An event's fields: the message, and the others as JSON members, each after a comma.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.rest, ",{}:{value}", json(field.name()));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.add(field, json(value)),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        self.add(field, serde_json::Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    /// Where a test's log goes.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(say: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).event_format(Ecs);
        with_default(Registry::default().with(layer), say);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_has_the_names_of_ecs() {
        let line = logged(|| {
            let (path, error) = ("/var/log/\"odd\"\n.log", io::Error::other("no\tway"));
            tracing::warn!(target: "skidder::tail", path, %error, bytes = 7_u64, share = 0.5, odd = f64::NAN, last = true, "reading {}", 1);
        });
        let (time, rest) = line.split_at(41);
        assert!(time.starts_with(r#"{"@timestamp":"20"#) && time.ends_with(r#"Z","#), "{time}");
        assert_eq!(
            rest,
            concat!(
                r#""log.level":"warn","message":"reading 1","ecs.version":"8.11.0","log.logger":"skidder::tail","#,
                r#""path":"/var/log/\"odd\"\n.log","error":"no\tway","bytes":7,"share":0.5,"odd":null,"last":true}"#,
                "\n"
            )
        );
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn a_mere_level_is_ours_and_a_bad_one_is_said() {
        for (level, expected) in [
            ("info", "info"),
            ("warn", "warn"),
            ("debug", "skidder=debug,info"),
            ("skidder::tail=trace,warn", "skidder::tail=trace,warn"),
        ] {
            assert_eq!(filter(level).unwrap().to_string(), expected);
        }
        assert_eq!(
            filter("loud=very").unwrap_err().to_string(),
            "`loud=very` is not a level: error, warn, info, debug, trace, or parts such as skidder::tail=debug"
        );
    }
}
