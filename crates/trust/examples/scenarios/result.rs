use crate::plot::{Line, svg};
use crate::scenario::Scenario;
use crate::society::{Means, Size, play};

/// Rates of one scenario by one means: a line for each seed.
pub(crate) struct Runs(Vec<Vec<f64>>);

/// One row of the table.
pub(crate) struct Cell {
    pub(crate) scenario: Scenario,
    pub(crate) nothing: Runs,
    pub(crate) eigentrust: Runs,
    pub(crate) trustflow: Runs,
    measured: usize,
}

impl Runs {
    fn of(scenario: &Scenario, means: Means, size: Size, seeds: u64) -> Self {
        Self((1..=seeds).map(|seed| play(scenario, means, size, seed)).collect())
    }

    /// The rate of each run over its last cycles.
    fn rates(&self, measured: usize) -> Vec<f64> {
        let rate = |run: &Vec<f64>| run[run.len() - measured..].iter().sum::<f64>() / measured as f64;
        self.0.iter().map(rate).collect()
    }

    fn by_cycle(&self) -> Vec<f64> {
        let cycles = self.0.first().map_or(0, Vec::len);
        (0..cycles).map(|cycle| mean(&self.0.iter().map(|run| run[cycle]).collect::<Vec<_>>())).collect()
    }
}

impl Cell {
    pub(crate) fn of(scenario: Scenario, size: Size, seeds: u64) -> Self {
        let runs = |means| Runs::of(&scenario, means, size, seeds);
        let (nothing, eigentrust) = (runs(Means::Nothing), runs(Means::EigenTrust));
        let trustflow = runs(Means::TrustFlow);
        Self { scenario, nothing, eigentrust, trustflow, measured: size.measured }
    }

    pub(crate) fn mean(&self, runs: &Runs) -> f64 {
        mean(&runs.rates(self.measured))
    }

    /// What is wrong with it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let title = self.scenario.title;
        let mut faults = Vec::new();
        let (rate, gate) = (self.mean(&self.trustflow), self.scenario.gate);
        if rate > gate {
            faults.push(format!("{title}: TrustFlow leaves {rate:.3}, at most {gate} is allowed"));
        }
        let rate = self.mean(&self.eigentrust);
        if let Some((low, high)) = self.scenario.eigentrust
            && !(low..=high).contains(&rate)
        {
            faults.push(format!("{title}: EigenTrust leaves {rate:.3}, expected {low} to {high}"));
        }
        faults
    }

    /// As a row of a table: mean and spread of each means.
    pub(crate) fn row(&self) -> String {
        let column = |runs: &Runs| {
            let rates = runs.rates(self.measured);
            let (low, high) =
                rates.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
            format!("{:.3} ({low:.3} – {high:.3})", mean(&rates))
        };
        let [nothing, eigentrust, trustflow] = [&self.nothing, &self.eigentrust, &self.trustflow].map(column);
        let (title, gate) = (self.scenario.title, self.scenario.gate);
        format!("| {title} | {nothing} | {eigentrust} | {trustflow} | {gate} |")
    }

    pub(crate) fn plot(&self) -> String {
        let line = |name, color, runs: &Runs| Line { name, color, values: runs.by_cycle() };
        let lines = [
            line("nothing", "#999", &self.nothing),
            line("EigenTrust", "#c60", &self.eigentrust),
            line("TrustFlow", "#06c", &self.trustflow),
        ];
        svg(self.scenario.title, &lines, self.scenario.gate)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
