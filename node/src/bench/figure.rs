use std::collections::BTreeMap;

use serde::Serialize;

use super::Benchmark;

/// One figure over all runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Of which benchmark.
    pub(crate) benchmark: Benchmark,
    /// What was measured.
    pub(crate) name: String,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The median of the runs.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// One number a run, in order.
    pub(crate) runs: Vec<f64>,
    /// How many samples each of them is made of.
    pub(crate) samples: usize,
}

/// What a benchmark collects, run by run.
#[derive(Debug)]
pub(crate) struct Runs {
    benchmark: Benchmark,
    figures: BTreeMap<usize, Figure>,
    names: Vec<String>,
}

impl Runs {
    pub(crate) fn new(benchmark: Benchmark) -> Self {
        Self { benchmark, figures: BTreeMap::new(), names: Vec::new() }
    }

    /// Adds the number of one run.
    pub(crate) fn one(&mut self, name: &str, unit: &'static str, number: f64, samples: usize) {
        let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        let figure = self.figures.entry(place).or_insert_with(|| Figure {
            benchmark: self.benchmark,
            name: name.to_owned(),
            unit,
            median: 0.0,
            min: 0.0,
            max: 0.0,
            runs: Vec::new(),
            samples,
        });
        figure.runs.push(number);
    }

    /// Adds median and 99th percentile of one run's times.
    pub(crate) fn times(&mut self, name: &str, mut samples: Vec<f64>) {
        samples.sort_by(f64::total_cmp);
        for (label, share) in [("p50", 0.5), ("p99", 0.99)] {
            self.one(&format!("{name}, {label}"), "ms", percentile(&samples, share), samples.len());
        }
    }

    /// Adds the same of two ways to do one thing, and what the second adds to the first.
    pub(crate) fn added(&mut self, name: &str, first: (&str, Vec<f64>), second: (&str, Vec<f64>)) {
        let (mut ways, mut number) = ([first, second], 0);
        for (way, samples) in &mut ways {
            samples.sort_by(f64::total_cmp);
            number = samples.len();
            self.times(&format!("{name} {way}"), samples.clone());
        }
        for (label, share) in [("p50", 0.5), ("p99", 0.99)] {
            let [before, after] = ways.each_ref().map(|(_, samples)| percentile(samples, share));
            self.one(&format!("{name}, added {label}"), "ms", after - before, number);
        }
    }

    /// The figures, in the order in which they were first added.
    pub(crate) fn figures(self) -> Vec<Figure> {
        self.figures
            .into_values()
            .map(|mut figure| {
                let mut sorted = figure.runs.clone();
                sorted.sort_by(f64::total_cmp);
                figure.median = percentile(&sorted, 0.5);
                figure.min = sorted.first().copied().unwrap_or_default();
                figure.max = sorted.last().copied().unwrap_or_default();
                figure
            })
            .collect()
    }
}

/// The smallest of the sorted numbers that at least this share of them does not exceed (nearest rank).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let numbers: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((percentile(&numbers, 0.5), percentile(&numbers, 0.99)), (100.0, 198.0));
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn figures_keep_their_order_and_have_median_and_spread() {
        let mut runs = Runs::new(Benchmark::Vote);
        for shift in [5.0, 1.0, 3.0] {
            runs.times("b", vec![shift, shift + 10.0]);
            runs.one("a", "1/s", shift, 1);
        }
        let figures = runs.figures();
        assert_eq!(
            figures.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["b, p50", "b, p99", "a"]
        );
        assert_eq!((figures[0].min, figures[0].median, figures[0].max), (1.0, 3.0, 5.0));
        assert_eq!((figures[1].median, figures[1].samples), (13.0, 2));
    }
}
