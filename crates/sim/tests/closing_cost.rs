//! What a Closed decision leaves on disk: docs/adr/032 promises a bound.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_record::Kind;
use althing_sim::{Sim, red_or_blue};

#[test]
fn what_closers_say_about_a_decision_takes_so_many_bytes_and_no_more() {
    for closers in [4, 7, 10] {
        let mut net = Sim::settled(closers as u64, closers);
        let voters = net.agents(0..closers);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 600_000));
        net.run_for(1_000);
        net.all_say(proposal, vec!["red"; closers]);
        net.run_for(5_000);
        assert!(net.is_decided(0, proposal, "red"));
        assert!(net.run_until_quiet());
        for node in 0..closers {
            let kinds = [Kind::BallotAck, Kind::CloseReport, Kind::Agreement];
            let said: Vec<_> = kinds.into_iter().flat_map(|kind| net.records(node, kind)).collect();
            let bytes: usize = said.iter().map(|record| record.bytes().len()).sum();
            let bound = closers * (2_000 + closers * 350) + 4_000;
            assert!(bytes <= bound, "{closers} closers, {} records: {bytes} of {bound} bytes", said.len());
        }
    }
}
