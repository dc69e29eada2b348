use tokio::signal::unix::{SignalKind, signal};

/// Returns when this process is asked to stop: SIGINT (Ctrl-C), SIGTERM or SIGHUP. Without handlers, never.
pub async fn interrupted() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
