use std::fmt;

use althing_tunnel::{Ending, Meter, Side};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The calls of this node, read at each scrape.
#[derive(Debug)]
struct CallCounts(Meter);

/// Registers them.
pub(super) fn register(registry: &mut Registry, meter: Meter) {
    registry.register_collector(Box::new(CallCounts(meter)));
}

impl Collector for CallCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Calls between agents that are under way";
        let mut family =
            encoder.encode_descriptor("althing_calls_under_way", help, None, MetricType::Gauge)?;
        for side in SIDES {
            let number = i64::try_from(self.0.under_way(side)).unwrap_or(i64::MAX);
            ConstGauge::new(number).encode(family.encode_family(&[("side", side_name(side))])?)?;
        }
        let help = "Calls between agents that have ended";
        let mut family = encoder.encode_descriptor("althing_calls", help, None, MetricType::Counter)?;
        for side in SIDES {
            for how in Ending::ALL {
                let labels = [("side", side_name(side)), ("outcome", ending_name(how))];
                ConstCounter::new(self.0.ended(side, how)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

const SIDES: [Side; 2] = [Side::Caller, Side::Callee];

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee => "callee",
    }
}

fn ending_name(how: Ending) -> &'static str {
    match how {
        Ending::Answered => "answered",
        Ending::Refused => "refused",
        Ending::Timeout => "timeout",
        Ending::Broken => "broken",
    }
}
