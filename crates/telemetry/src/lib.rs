//! Logs on standard error and in a bounded file, and metrics in the OpenMetrics text format.
//!
//! The process sets up its logs once with [`init_logs`] and owns one [`Metrics`], in whose registry libp2p and every
//! other part register theirs. This crate deliberately serves nothing over HTTP and sends nothing anywhere.
//!
//! ```
//! use althing_telemetry::{Build, Metrics};
//!
//! let metrics = Metrics::new(Build { version: "0.1.0", revision: "unknown" });
//! assert!(metrics.encode().contains("althing_build_info{version=\"0.1.0\""));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod log_file;
mod logs;
mod metrics;
mod panics;
mod process;

pub use log_file::{LogFile, Rotation};
pub use logs::{DEFAULT_FILTER, FILE_ONLY_TARGET, LogError, LogFormat, Logs, init_logs};
pub use metrics::{Build, Metrics, OPENMETRICS_CONTENT_TYPE, encode};
pub use panics::log_panics;
pub use process::ProcessCollector;
