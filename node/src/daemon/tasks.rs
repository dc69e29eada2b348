use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;

/// How many tasks there are, asked at each scrape.
#[derive(Debug)]
struct Tasks(Handle);

/// Registers it. Needs a tokio runtime.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Tasks(Handle::current())));
}

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let tasks = i64::try_from(self.0.metrics().num_alive_tasks()).unwrap_or(i64::MAX);
        let metric = ConstGauge::new(tasks);
        let help = "Tasks of the runtime that have not ended";
        metric.encode(encoder.encode_descriptor("althing_tasks", help, None, metric.metric_type())?)
    }
}
