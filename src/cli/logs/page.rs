//! Events as `--output` asks for them, gathered and written.

use std::io::{self, Write};
use std::time::Instant;

use super::progress::Progress;
use crate::batch::{Entry, Layout};
use crate::cli::pretty::Pretty;
use crate::cli::printer::Raw;
use crate::config::{Config, StdoutFormat};
use crate::discover::Found;
use crate::enrich::{DocumentSettings, Scratch, Template};
use crate::event::{Event, GenerationKey, PodMeta, SourceId, Span};
use crate::pipeline::outlet::Facts;
use crate::pipeline::settings::{self, SettingsError};
use crate::pipeline::shipping::{Printer, template};
use crate::pipeline::targets::{Route, Targets};
use crate::tail::Keys;

/// How much is gathered before it is written, in bytes.
const FULL: usize = 128 * 1024;

/// What is written.
pub struct Page {
    form: Form,
    /// By the sources' indices.
    sources: Vec<Option<Shown>>,
    gathered: Vec<u8>,
    out: Box<dyn Write + Send>,
    /// What became of the last write; after an error nothing more is written.
    pub error: Option<io::Error>,
    /// Gives way to what is written.
    pub progress: Option<Progress>,
}

/// How events look.
enum Form {
    Words(Box<dyn Printer>),
    Documents(Box<Documents>),
}

/// The documents that the agent would ship.
struct Documents {
    settings: Vec<DocumentSettings>,
    targets: Targets,
    layout: Layout,
    scratch: Scratch,
}

/// What is kept of a source.
struct Shown {
    found: Found,
    pod: Option<PodMeta>,
    /// For documents.
    template: Option<Template>,
    /// The names of its generations by their ordinals, for ids: an event may be shown long after it was read.
    keys: Vec<(u32, GenerationKey)>,
}

impl Page {
    /// A page with nothing on it, in the format of the configuration's output; `pretty` is how events are made pretty.
    ///
    /// # Errors
    /// When the configuration's globs are none.
    pub fn new(
        config: &Config,
        format: StdoutFormat,
        pretty: Pretty,
        out: impl Write + Send + 'static,
    ) -> Result<Self, SettingsError> {
        let layout = match format {
            StdoutFormat::Bulk => Layout::Bulk { document_ids: true },
            StdoutFormat::Json | StdoutFormat::Pretty | StdoutFormat::Raw => Layout::Lines,
        };
        let form = match format {
            StdoutFormat::Pretty => Form::Words(Box::new(pretty)),
            StdoutFormat::Raw => Form::Words(Box::new(Raw)),
            StdoutFormat::Json | StdoutFormat::Bulk => Form::Documents(Box::new(Documents {
                settings: settings::documents(config)?,
                targets: settings::targets(config),
                layout,
                scratch: Scratch::default(),
            })),
        };
        Ok(Self {
            form,
            sources: Vec::new(),
            gathered: Vec::new(),
            out: Box::new(out),
            error: None,
            progress: None,
        })
    }

    /// What is known of a source by now. Returns whether it is a new one.
    pub fn describe(&mut self, source: usize, facts: &Facts<'_>) -> bool {
        if self.sources.len() <= source {
            self.sources.resize_with(source + 1, || None);
        }
        let template = match &mut self.form {
            Form::Words(_) => None,
            Form::Documents(documents) => documents.template(facts),
        };
        let known = self.sources[source].take();
        let is_new = known.is_none();
        let keys = known.map(|known| known.keys).unwrap_or_default();
        let (found, pod) = (facts.found.clone(), facts.pod.cloned());
        self.sources[source] = Some(Shown { found, pod, template, keys });
        is_new
    }

    /// A source is gone.
    pub fn forget(&mut self, source: usize) {
        if let Some(shown) = self.sources.get_mut(source) {
            *shown = None;
        }
    }

    /// Notes the names of the generations that an event lies in.
    #[inline]
    pub fn note_keys(&mut self, source: usize, keys: &Keys, span: Span) {
        if let Form::Documents(documents) = &self.form
            && let Layout::Bulk { .. } = documents.layout
            && let Some(Some(shown)) = self.sources.get_mut(source)
        {
            for ordinal in [span.start.generation, span.end.generation] {
                if shown.key(ordinal).is_none()
                    && let Some(key) = keys.get(ordinal)
                {
                    shown.keys.push((ordinal, key));
                }
            }
        }
    }

    /// Puts an event on the page.
    pub fn show(&mut self, source: usize, event: &Event<'_>) {
        let Some(Some(shown)) = self.sources.get_mut(source) else { return };
        match &mut self.form {
            Form::Words(printer) => {
                printer.print(&shown.found, shown.pod.as_ref(), event, &mut self.gathered)
            }
            Form::Documents(documents) => documents.append(source, shown, event, &mut self.gathered),
        }
        if self.gathered.len() >= FULL {
            self.write();
        }
    }

    /// Writes what was gathered.
    pub fn write(&mut self) {
        if self.error.is_none() && !self.gathered.is_empty() {
            if let Some(progress) = &mut self.progress {
                progress.give_way(Instant::now());
            }
            let written = self.out.write_all(&self.gathered).and_then(|()| self.out.flush());
            self.error = written.err();
        }
        self.gathered.clear();
    }
}

impl Shown {
    fn key(&self, ordinal: u32) -> Option<GenerationKey> {
        self.keys.iter().rev().find(|(known, _)| *known == ordinal).map(|(_, key)| *key)
    }
}

impl Documents {
    fn template(&mut self, facts: &Facts<'_>) -> Option<Template> {
        let documents = self.settings.get(facts.found.block)?;
        let route = self.targets.route(facts);
        let target = match &route {
            Route::Fixed(target) => Some(&**target),
            Route::ByTime(_) => None,
        };
        Some(template(documents, facts, target))
    }

    fn append(&mut self, source: usize, shown: &Shown, event: &Event<'_>, out: &mut Vec<u8>) {
        let Some(template) = &shown.template else { return };
        let Span { start, end } = event.span;
        if let (Layout::Bulk { .. }, Some(start_key), Some(end_key)) =
            (self.layout, shown.key(start.generation), shown.key(end.generation))
        {
            let entry = Entry {
                target: None,
                start: (&start_key, start.offset),
                end: (&end_key, end.offset),
                source: SourceId(source as u32),
                bytes: event.bytes,
                time: None,
                sent_before: false,
            };
            self.layout.write_action(out, &entry);
        }
        template.render(event, &mut self.scratch, out);
    }
}
