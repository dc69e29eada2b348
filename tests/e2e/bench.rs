//! The benchmarks, once each where that is quick.

use althing_tests::run;
use serde_json::Value;

#[test]
fn benchmarks_state_machine_runs_median_and_spread() {
    for (benchmark, runs, count) in [("vote", 1, 10), ("store", 2, 4)] {
        let words = ["bench", benchmark, "--runs", &runs.to_string(), "--json"];
        let done = run(&words).expect(0).json("althing.bench/v1");
        assert!(done["machine"]["cores"].as_u64().unwrap() > 0, "{done}");
        let figures = done["figures"].as_array().unwrap();
        assert_eq!(figures.len(), count, "{done}");
        figures.iter().for_each(|figure| sound(figure, benchmark, runs));
    }
}

fn sound(figure: &Value, benchmark: &str, runs: usize) {
    assert_eq!(figure["benchmark"], benchmark, "{figure}");
    assert_eq!(figure["runs"].as_array().unwrap().len(), runs, "{figure}");
    let number = |name: &str| figure[name].as_f64().unwrap();
    assert!(0.0 < number("min") && number("min") <= number("median"), "{figure}");
    assert!(number("median") <= number("max") && figure["unit"].is_string(), "{figure}");
}
