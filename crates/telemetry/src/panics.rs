use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;

/// Sends panics to the log from now on, so that the last words of a node in the background are kept. Where the log
/// takes no errors they go to standard error as before.
pub fn log_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !tracing::enabled!(tracing::Level::ERROR) {
            return before(panic);
        }
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let cause =
            text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!(cause, location, thread, %backtrace, "panicked");
        } else {
            tracing::error!(cause, location, thread, "panicked; RUST_BACKTRACE=1 shows from where");
        }
    }));
}
