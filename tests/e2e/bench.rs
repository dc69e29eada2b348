//! The benchmarks, once each where that is quick.

use althing_tests::run;

#[test]
fn benchmarks_state_machine_runs_median_and_spread() {
    let done = run(&["bench", "vote", "store", "--runs", "2", "--json"]).expect(0).json("althing.bench/v1");
    assert!(done["machine"]["cores"].as_u64().unwrap() > 0, "{done}");
    let figures = done["figures"].as_array().unwrap();
    for (benchmark, count) in [("vote", 10), ("store", 4)] {
        assert_eq!(figures.iter().filter(|one| one["benchmark"] == benchmark).count(), count, "{done}");
    }
    for figure in figures {
        assert_eq!(figure["runs"].as_array().unwrap().len(), 2, "{figure}");
        let number = |name: &str| figure[name].as_f64().unwrap();
        assert!(0.0 < number("min") && number("min") <= number("median"), "{figure}");
        assert!(number("median") <= number("max") && figure["unit"].is_string(), "{figure}");
    }
}
