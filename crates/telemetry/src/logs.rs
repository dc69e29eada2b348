use std::fmt;
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::LogFile;

/// What is logged when the operator says nothing.
pub const DEFAULT_FILTER: &str = "info,libp2p=warn,libp2p_kad=error";

/// The target of events that go to the log file only, because whoever watches standard error is told otherwise.
pub const FILE_ONLY_TARGET: &str = "althing::file_only";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line per event, for people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format { found: text.chars().take(80).collect() }),
        }
    }
}

/// Why logs could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The operator's log format is none.
    #[error("log format: expected text or json, found {found:?}")]
    Format {
        /// What was given, cut to 80 characters.
        found: String,
    },
    /// The operator's filter has a part that is none.
    #[error("log filter: expected a level ({}) or target=level, found {found:?} in {filter:?}", LEVELS.join(", "))]
    Filter {
        /// The part that is wrong, or what the parser said of the whole.
        found: String,
        /// The whole filter.
        filter: String,
    },
    /// Logs were set up before. Our fault.
    #[error("logs are set up already")]
    AlreadySet,
}

/// What is logged, how and where.
#[derive(Clone, Debug)]
pub struct Logs {
    /// How lines are written.
    pub format: LogFormat,
    /// What is logged: as in `RUST_LOG`, except that a bare word must be a level, since a mistyped one would otherwise
    /// silence everything.
    pub filter: String,
    /// Whether lines go to standard error.
    pub stderr: bool,
    /// Whether those may be coloured.
    pub color: bool,
    /// Where lines go as well.
    pub file: Option<LogFile>,
}

/// Sends events where `logs` says from now on.
///
/// # Errors
/// When the filter is not one, or logs were set up before.
pub fn init_logs(logs: Logs) -> Result<(), LogError> {
    let filter = parse_filter(&logs.filter)?;
    let stderr = logs.stderr.then(|| {
        let told = filter_fn(|event| event.target() != FILE_ONLY_TARGET);
        layer(logs.format, logs.color, std::io::stderr).with_filter(told)
    });
    let file = logs.file.map(|file| layer(logs.format, false, file));
    let subscriber = tracing_subscriber::registry().with(file).with(stderr).with(filter);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadySet)
}

fn layer<S, W>(format: LogFormat, color: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer();
    match format {
        LogFormat::Text if color => Box::new(layer.with_writer(writer)),
        LogFormat::Text => {
            Box::new(layer.with_ansi(false).fmt_fields(PlainFields::default()).with_writer(writer))
        }
        LogFormat::Json => Box::new(layer.json().flatten_event(true).with_ansi(false).with_writer(writer)),
    }
}

/// The default fields under another type: layers keep what they wrote of a span by this type, and a file must not get
/// what was coloured for a terminal.
#[derive(Debug, Default)]
struct PlainFields(DefaultFields);

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let refused = |found: &str| LogError::Filter { found: found.to_owned(), filter: filter.to_owned() };
    // Span directives may hold commas and are left to the parser.
    let bare = filter.split(',').map(str::trim).find(|part| {
        !filter.contains('[') && !part.contains('=') && !LEVELS.contains(&part.to_ascii_lowercase().as_str())
    });
    if let Some(part) = bare {
        return Err(refused(part));
    }
    EnvFilter::builder().parse(filter).map_err(|cause| refused(&cause.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry()
            .with(layer(format, false, move || writer.clone()))
            .with(parse_filter(filter).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "althing", peers = 3, "listening");
            tracing::info!(target: "libp2p", "chatter");
            tracing::warn!(target: "libp2p", "trouble");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn default_filter_keeps_the_library_quiet() {
        let text = logged(LogFormat::Text, DEFAULT_FILTER);
        assert!(text.contains("listening peers=3") && text.contains("trouble"), "{text}");
        assert!(!text.contains("chatter"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn json_lines_carry_fields() {
        let text = logged(LogFormat::Json, "althing=info");
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&line["message"], &line["peers"], &line["level"]),
            (&"listening".into(), &3.into(), &"INFO".into())
        );
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn bad_filters_and_formats_are_named() {
        for (filter, found) in [("inof", "inof"), ("info,libp2p=loud", ""), ("", "")] {
            let refused = parse_filter(filter).unwrap_err().to_string();
            assert!(refused.contains(found) && refused.contains("debug"), "{refused}");
        }
        assert!("yaml".parse::<LogFormat>().unwrap_err().to_string().contains("yaml"));
        assert_eq!("json".parse(), Ok(LogFormat::Json));
    }

    #[test]
    fn a_coloured_terminal_does_not_colour_the_file() {
        let (terminal, file) = (Lines::default(), Lines::default());
        let (to_terminal, to_file) = (terminal.clone(), file.clone());
        let subscriber = tracing_subscriber::registry()
            .with(layer(LogFormat::Text, true, move || to_terminal.clone()))
            .with(layer(LogFormat::Text, false, move || to_file.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("call", peer = 7).in_scope(|| tracing::info!(n = 1, "asked"));
        });
        let text = |lines: &Lines| String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text(&terminal).contains('\u{1b}'));
        assert!(text(&file).contains("call{peer=7}") && !text(&file).contains('\u{1b}'), "{}", text(&file));
    }

    #[test]
    fn logs_are_set_up_once_and_a_panic_lands_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let file = LogFile::new(crate::Rotation::default());
        let logs = Logs {
            format: LogFormat::Json,
            filter: "error".into(),
            stderr: false,
            color: false,
            file: Some(file.clone()),
        };
        assert_eq!(init_logs(logs.clone()), Ok(()));
        assert_eq!(init_logs(logs), Err(LogError::AlreadySet));
        crate::log_panics();
        let ended = std::thread::Builder::new().name("victim".into()).spawn(|| panic!("out of {}", "luck"));
        assert!(ended.unwrap().join().is_err());
        file.attach(&path, false).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["thread"], &line["cause"]), (&"victim".into(), &"out of luck".into()), "{line}");
        assert!(line["location"].as_str().unwrap().contains("logs.rs:"), "{line}");
    }
}
