use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::ProcessCollector;

/// The `Content-Type` of what [`encode`] gives.
pub const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Which program this is.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The version, as in `--version`.
    pub version: &'a str,
    /// The source revision that it was built from.
    pub revision: &'a str,
}

/// The one registry of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A registry with `althing_build_info` and the `process_*` metrics in it.
    #[must_use]
    pub fn new(build: Build<'_>) -> Self {
        let mut registry = Registry::default();
        let labels = vec![("version", build.version.to_owned()), ("revision", build.revision.to_owned())];
        registry.register("althing_build", "Version and source revision of this node", Info::new(labels));
        registry.register_collector(Box::new(ProcessCollector));
        Self { registry }
    }

    /// The registry, to read.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The registry, to add metrics to. Names begin with `althing_` and end in their unit.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// All metrics, as [`encode`] writes them.
    #[must_use]
    pub fn encode(&self) -> String {
        encode(&self.registry)
    }
}

/// All metrics of a registry in the OpenMetrics 1.0 text format, but for what breaks its conventions: some of libp2p's
/// histograms are durations without a unit, one in seconds and one in milliseconds, and nobody could tell.
#[must_use]
pub fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)
        .expect("writing to a string fails only when a metric refuses to be written, and ours do not");
    let mut served = String::with_capacity(text.len());
    let mut conventional = true;
    for line in text.split_inclusive('\n') {
        if let Some(described) = line.strip_prefix("# HELP ") {
            let name = described.split(' ').next().unwrap_or_default();
            conventional = !name.ends_with("_duration");
        }
        if conventional || line == "# EOF\n" {
            served.push_str(line);
        }
    }
    served
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(Build { version: "1.2.3", revision: "abc" })
    }

    #[test]
    fn build_is_an_info_metric() {
        let text = metrics().encode();
        assert!(text.contains("# TYPE althing_build info\n"), "{text}");
        assert!(text.contains("althing_build_info{version=\"1.2.3\",revision=\"abc\"} 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn others_register_into_the_same_text() {
        let mut metrics = metrics();
        let calls = Counter::<u64>::default();
        metrics.registry_mut().register("althing_calls", "Calls served", calls.clone());
        calls.inc();
        assert!(metrics.encode().contains("althing_calls_total 1\n"));
    }

    #[test]
    fn durations_without_a_unit_are_left_out_and_nothing_else_is() {
        let mut metrics = metrics();
        let registry = metrics.registry_mut();
        registry.register("beat_duration", "How long", Counter::<u64>::default());
        registry.register("calls", "Calls served", Counter::<u64>::default());
        registry.register("last_duration", "How long", Counter::<u64>::default());
        let text = metrics.encode();
        assert!(!text.contains("duration"), "{text}");
        assert!(text.contains("calls_total 0\n") && text.ends_with("# EOF\n"), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_metrics_have_units_and_sense() {
        let text = metrics().encode();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().unwrap()
        };
        assert!((1e5..1e11).contains(&value("process_resident_memory_bytes")));
        assert!((3.0..1e5).contains(&value("process_open_fds")));
        assert!((0.0..1e4).contains(&value("process_cpu_seconds_total")));
        #[expect(clippy::disallowed_methods, reason = "the process's start is a wall-clock time")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..3_600.0).contains(&age), "{age}");
        assert!(text.contains("# UNIT process_resident_memory_bytes bytes\n"), "{text}");
    }
}
