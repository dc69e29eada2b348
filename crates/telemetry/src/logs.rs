use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged when the operator says nothing.
pub const DEFAULT_FILTER: &str = "info,libp2p=warn,libp2p_kad=error";

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

/// Sends events to standard error from now on. `filter` is as in `RUST_LOG`, except that a bare word must be a level:
/// a mistyped one would otherwise silence everything.
///
/// # Errors
/// When the filter is not one, or logs were set up before.
pub fn init_logs(format: LogFormat, filter: &str, color: bool) -> Result<(), LogError> {
    let subscriber = subscriber(format, filter, color, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadySet)
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    color: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(parse_filter(filter)?).with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(builder.with_ansi(color).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_ansi(false).finish()),
    })
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
        let subscriber = subscriber(format, filter, false, move || writer.clone()).unwrap();
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
    fn logs_are_set_up_once() {
        assert_eq!(init_logs(LogFormat::Text, "off", false), Ok(()));
        assert_eq!(init_logs(LogFormat::Text, "off", false), Err(LogError::AlreadySet));
    }
}
