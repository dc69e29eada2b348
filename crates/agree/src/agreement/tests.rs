use super::*;
use crate::FIRST_KEYS;
use crate::fixture::{NOW, Player, Table, value};
use crate::{ANSWER_MS, RESEND_MS, RestoreError};

#[test]
fn a_leader_without_an_offer_waits_and_proposes_once_it_has_one() {
    let table = Table::of(4);
    let mut leader = Player::new(&table, 0);
    leader.wait(100);
    assert_eq!(leader.said(0, Step::Proposal), None);
    let offer = value("late");
    leader.offer(&offer);
    assert_eq!(leader.said(0, Step::Proposal), Some(Some(offer.id())));
    assert_eq!(leader.said(0, Step::Prevote), Some(Some(offer.id())));
    leader.offer(&value("another"));
    assert_eq!(leader.said(0, Step::Proposal), Some(Some(offer.id())), "one proposal per round");
}

#[test]
fn a_leader_whose_time_is_over_proposes_nothing() {
    let table = Table::of(4);
    let mut leader = Player::new(&table, 0);
    leader.wait(500);
    assert_eq!(leader.said(0, Step::Prevote), Some(None));
    leader.offer(&value("too late"));
    assert_eq!(leader.said(0, Step::Proposal), None);
}

#[test]
fn a_value_is_prevoted_only_when_it_was_called_valid() {
    let table = Table::of(4);
    let proposed = value("proposed");
    for verdict in [true, false] {
        let mut closer = Player::new(&table, 1);
        closer.handle(&table.proposal(0, &proposed, None));
        assert_eq!(closer.said(0, Step::Prevote), None, "nobody judged it");
        assert!(
            closer.outputs.iter().any(|output| matches!(output, Output::Judge(value) if *value == proposed))
        );
        closer.judge(&proposed, verdict);
        assert_eq!(closer.said(0, Step::Prevote), Some(verdict.then(|| proposed.id())));
        closer.judge(&proposed, !verdict);
        assert_eq!(closer.agreement.is_valid(proposed.id()), Some(verdict), "a verdict stays");
    }
}

#[test]
fn a_value_called_invalid_is_never_precommitted_nor_decided_by_votes() {
    let table = Table::of(4);
    let bad = value("bad");
    let mut closer = Player::new(&table, 1);
    closer.handle(&table.proposal(0, &bad, None));
    closer.judge(&bad, false);
    closer.votes(&[0, 2, 3], Step::Prevote, 0, Some(&bad));
    closer.votes(&[0, 2, 3], Step::Precommit, 0, Some(&bad));
    closer.wait(1_000);
    assert_ne!(closer.said(0, Step::Precommit), Some(Some(bad.id())));
    assert_eq!(closer.decided(), None);
}

/// A closer of seat 3 that is locked on `value` since round 0, and now in round 1.
fn locked<'a>(table: &'a Table, locked: &Value) -> Player<'a> {
    let mut closer = Player::new(table, 3);
    closer.handle(&table.proposal(0, locked, None));
    closer.judge(locked, true);
    closer.votes(&[0, 1], Step::Prevote, 0, Some(locked));
    assert_eq!(closer.said(0, Step::Precommit), Some(Some(locked.id())));
    closer.votes(&[0, 1], Step::Precommit, 0, None);
    closer.wait(250);
    assert_eq!(closer.agreement.round(), 1);
    closer
}

#[test]
fn a_lock_outlives_a_crash_until_later_prevotes_are_shown() {
    let table = Table::of(4);
    let (first, other) = (value("first"), value("other"));
    for crashes in [false, true] {
        let mut closer = locked(&table, &first);
        if crashes {
            closer = closer.crash();
            assert_eq!(closer.agreement.round(), 0, "nothing was signed in round 1");
            closer.votes(&[0, 1], Step::Prevote, 1, None);
            assert_eq!(closer.agreement.round(), 1);
        }
        closer.handle(&table.proposal(1, &other, None));
        closer.judge(&other, true);
        assert_eq!(closer.said(1, Step::Prevote), Some(None), "locked on another value");
        if crashes {
            closer = closer.crash();
        }
        closer.votes(&[0, 1], Step::Prevote, 2, None);
        let polka = table.polka(&[0, 1, 2], 1, &other);
        closer.handle(&table.proposal(2, &other, Some(polka)));
        closer.judge(&other, true);
        assert_eq!(closer.said(2, Step::Prevote), Some(Some(other.id())), "prevotes of round 1 are shown");
    }
}

#[test]
fn a_locked_value_is_prevoted_again_after_a_crash() {
    let table = Table::of(4);
    let first = value("first");
    let mut closer = locked(&table, &first).crash();
    closer.votes(&[0, 1], Step::Prevote, 1, None);
    closer.handle(&table.proposal(1, &first, None));
    assert_eq!(closer.said(1, Step::Prevote), Some(Some(first.id())));
}

#[test]
fn a_locked_leader_proposes_what_it_is_locked_on_after_a_crash() {
    let table = Table::of(4);
    let first = value("first");
    let mut closer = locked(&table, &first).crash();
    closer.offer(&value("its own"));
    closer.votes(&[0, 1], Step::Prevote, 3, None);
    let proposal = closer.kept().find(|entry| entry.slot() == (3, Step::Proposal)).unwrap();
    let statement = proposal.signed().statement();
    assert_eq!((statement.value, statement.valid_round), (Some(first.id()), Some(0)));
    assert!(Message::verify(proposal.message().bytes(), &table.instance, FIRST_KEYS).is_ok());
}

#[test]
fn after_a_crash_no_step_is_signed_twice() {
    let table = Table::of(4);
    let mut leader = Player::new(&table, 0);
    let (first, other) = (value("first"), value("other"));
    leader.offer(&first);
    leader = leader.crash();
    leader.offer(&other);
    leader.wait(600);
    assert_eq!(leader.said(0, Step::Proposal), Some(Some(first.id())));
    assert_eq!(leader.said(0, Step::Prevote), Some(Some(first.id())));
    leader.votes(&[1, 2], Step::Prevote, 0, None);
    leader.wait(250);
    leader = leader.crash();
    leader.votes(&[1, 2, 3], Step::Prevote, 0, Some(&first));
    leader.wait(1_000);
    assert_eq!(leader.said(0, Step::Precommit), Some(None));
}

#[test]
fn a_crashed_closer_decides_with_the_votes_it_gets_again() {
    let table = Table::of(4);
    let first = value("first");
    let mut closer = locked(&table, &first).crash();
    closer.votes(&[0, 2], Step::Precommit, 0, Some(&first));
    assert_eq!(closer.decided(), Some(first));
}

#[test]
fn what_cannot_be_gone_on_from_is_named() {
    let table = Table::of(4);
    let restore = |entries: &[Vec<u8>]| {
        Agreement::restore(table.instance.clone(), Some(table.agent(1)), entries, FIRST_KEYS, NOW)
            .map(|_| ())
            .unwrap_err()
    };
    let entry = |seat, value: Option<&Value>| {
        let message = table.vote(seat, Step::Prevote, 0, value);
        let signed = message.signed().unwrap().clone();
        Entry::new(message, signed, None).bytes().to_vec()
    };
    assert_eq!(restore(&[entry(2, None)]), RestoreError::NotOwn { found: table.agent(2) });
    let twice = [entry(1, None), entry(1, Some(&value("other")))];
    assert_eq!(restore(&twice), RestoreError::Twice { round: 0, step: Step::Prevote });
    assert!(matches!(restore(&[vec![0x80]]), RestoreError::Entry(_)));
}

#[test]
fn a_laggard_follows_one_honest_closer_and_nobody_less() {
    let table = Table::of(7);
    let mut laggard = Player::new(&table, 6);
    laggard.votes(&[0], Step::Prevote, 5, None);
    laggard.votes(&[1], Step::Precommit, 9_000, None);
    assert_eq!(laggard.agreement.round(), 0, "both may be faulty");
    laggard.votes(&[2], Step::Prevote, 4, None);
    assert_eq!(laggard.agreement.round(), 4, "one of three is honest");
    laggard.votes(&[3, 4], Step::Prevote, 700, None);
    assert_eq!(laggard.agreement.round(), 700);
}

#[test]
fn messages_of_far_rounds_are_not_kept() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 1);
    for round in 1..2_000 {
        closer.handle(&table.vote(0, Step::Prevote, round, None));
        if round % 4 == 0 {
            closer.handle(&table.proposal(round, &value(&round.to_string()), None));
        }
    }
    assert_eq!(closer.agreement.round(), 0);
    assert_eq!(closer.agreement.seen.votes_since(0).count(), ROUNDS_AHEAD as usize);
    assert_eq!(closer.agreement.values.len(), 2, "proposals of rounds 4 and 8");
}

#[test]
fn what_is_held_does_not_grow_with_rounds() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 1);
    let mut most = 0;
    for round in 0..200 {
        closer.handle(&table.proposal(round, &value(&round.to_string()), None));
        closer.votes(&[0, 2, 3], Step::Prevote, round, None);
        closer.votes(&[0, 2, 3], Step::Precommit, round, None);
        closer.wait(6_000);
        let agreement = &closer.agreement;
        most = most.max(agreement.values.len() + agreement.proposals.len() + agreement.kept.len());
        assert!(agreement.seen.votes_since(0).count() <= 8 * (ROUNDS_BEHIND + 2) as usize);
        assert!(agreement.driver.votes().rounds() <= 3);
    }
    assert_eq!(closer.agreement.round(), 200);
    assert!(most < 64, "{most}");
}

#[test]
fn the_last_round_is_the_last() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 1);
    closer.votes(&[0, 2], Step::Prevote, ROUND_MAX, None);
    assert_eq!(closer.agreement.round(), ROUND_MAX);
    closer.votes(&[0, 2, 3], Step::Precommit, ROUND_MAX, None);
    closer.wait(5_000);
    closer.wait(5_000);
    assert_eq!(closer.agreement.round(), ROUND_MAX);
}

#[test]
fn what_may_have_been_lost_is_sent_again() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 1);
    closer.votes(&[2], Step::Prevote, 0, None);
    closer.wait(500);
    closer.outputs.clear();
    closer.wait(RESEND_MS - 500);
    let sent = closer
        .outputs
        .iter()
        .find_map(|output| if let Output::Send(messages) = output { Some(messages) } else { None });
    let from: Vec<_> = sent.unwrap().iter().filter_map(Message::closer).collect();
    assert_eq!(from, [table.agent(1), table.agent(2)], "its own and what it heard");
    let wake = Output::WakeAt(closer.now.plus(RESEND_MS));
    assert_eq!(format!("{:?}", closer.outputs.last().unwrap()), format!("{wake:?}"));
}

#[test]
fn one_that_decided_tells_others_and_not_too_often() {
    let table = Table::of(4);
    let decided = value("decided");
    let certificate = table.commit(&[0, 1, 2], 3, &decided);
    let told = Message::new(Content::Decision { certificate, value: decided.clone() });
    let mut closer = Player::new(&table, 1);
    closer.handle(&told);
    assert_eq!(closer.decided(), Some(decided));
    let answers = |closer: &Player<'_>| {
        closer.outputs.iter().filter(|output| matches!(output, Output::Answer(_))).count()
    };
    assert_eq!(answers(&closer), 0, "who told it knows");
    closer.votes(&[3, 3, 3], Step::Prevote, 0, None);
    assert_eq!(answers(&closer), 1);
    closer.votes(&[2], Step::Prevote, 0, None);
    assert_eq!(answers(&closer), 2, "another asked");
    closer.now = closer.now.plus(ANSWER_MS);
    closer.votes(&[3], Step::Prevote, 0, None);
    assert_eq!(answers(&closer), 3);
    closer.wait(10_000);
    assert_eq!(closer.kept().count(), 0, "nothing is signed after a decision");
}

#[test]
fn contradictions_are_proved_once_and_only_so_many() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 1);
    for round in 0..8 {
        for text in ["one", "two", "three"] {
            closer.handle(&table.vote(0, Step::Prevote, round, Some(&value(text))));
        }
    }
    let proofs: Vec<_> = closer
        .outputs
        .iter()
        .filter_map(|output| if let Output::Evidence(evidence) = output { Some(evidence) } else { None })
        .collect();
    assert_eq!(proofs.len(), 4);
    assert!(proofs.iter().all(|proof| proof.closer() == table.agent(0)));
}

#[test]
fn a_vote_inside_a_certificate_contradicts_one_that_was_sent() {
    let table = Table::of(4);
    let (one, other) = (value("one"), value("other"));
    let mut closer = Player::new(&table, 3);
    closer.votes(&[2], Step::Precommit, 0, Some(&one));
    let certificate = table.commit(&[0, 1, 2], 0, &other);
    closer.handle(&Message::new(Content::Decision { certificate, value: other }));
    assert!(
        closer.outputs.iter().any(
            |output| matches!(output, Output::Evidence(evidence) if evidence.closer() == table.agent(2))
        )
    );
}

#[test]
fn one_whose_key_signs_elsewhere_falls_silent() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 0);
    closer.votes(&[0], Step::Prevote, 0, None);
    assert!(closer.outputs.iter().any(|output| matches!(output, Output::Doubled(_))));
    closer.offer(&value("its own"));
    closer.wait(5_000);
    assert_eq!(closer.kept().count(), 0);
}

#[test]
fn one_whose_disk_is_old_learns_it_from_others() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 0);
    closer.wait(500);
    let mut other = Player::new(&table, 1);
    assert_eq!(other.agreement.newest(table.agent(0)), None);
    closer.votes(&[1, 2, 3], Step::Prevote, 0, None);
    closer.kept().for_each(|entry| other.handle(entry.message()));
    let newest = other.agreement.newest(table.agent(0)).unwrap();
    assert_eq!(newest.statement().step, Step::Precommit);
    let newest = SignedStatement::from_bytes(&newest.to_bytes(), &table.instance, FIRST_KEYS).unwrap();

    closer.agreement.compare(&newest);
    assert!(closer.agreement.poll().is_none(), "it kept it");
    let mut old = Player::new(&table, 0);
    assert!(matches!(old.agreement.poll(), Some(Output::WakeAt(at)) if at == NOW.plus(500)));
    old.agreement.compare(&newest);
    assert!(matches!(old.agreement.poll(), Some(Output::Doubled(found)) if *found == newest));
    old.wait(5_000);
    assert_eq!(old.kept().count(), 0);
}

#[test]
fn a_locked_closer_shows_what_it_is_locked_on() {
    let table = Table::of(4);
    let first = value("first");
    let mut closer = locked(&table, &first);
    closer.outputs.clear();
    closer.wait(RESEND_MS);
    let shown = closer.outputs.iter().any(|output| {
        let Output::Send(messages) = output else { return false };
        messages.iter().any(
            |message| matches!(&*message.content, Content::Polka { value, polka } if *value == first && polka.0.round() == 0),
        )
    });
    assert!(shown);
}

#[test]
fn one_told_to_be_silent_follows_and_signs_nothing() {
    let table = Table::of(4);
    let first = value("first");
    let mut closer = Player::new(&table, 3);
    closer.agreement.set_silent(true);
    closer.handle(&table.proposal(0, &first, None));
    closer.judge(&first, true);
    closer.votes(&[0, 1, 2], Step::Prevote, 0, Some(&first));
    closer.votes(&[0, 1, 2], Step::Precommit, 0, Some(&first));
    assert_eq!(closer.decided(), Some(first));
    assert_eq!(closer.kept().count(), 0);
}

#[test]
fn one_that_was_silent_signs_again_when_it_may() {
    let table = Table::of(4);
    let mut closer = Player::new(&table, 3);
    closer.agreement.set_silent(true);
    closer.wait(600);
    closer.agreement.set_silent(false);
    closer.votes(&[0, 1], Step::Prevote, 1, None);
    closer.wait(2_000);
    assert_eq!((closer.said(0, Step::Prevote), closer.said(1, Step::Prevote)), (None, Some(None)));
}

#[test]
fn a_follower_without_a_vote_learns_the_decision() {
    let table = Table::of(4);
    let first = value("first");
    let mut follower = Player::new(&table, 0);
    follower.agreement = Agreement::new(table.instance.clone(), None, NOW);
    follower.handle(&table.proposal(0, &first, None));
    follower.judge(&first, true);
    follower.votes(&[0, 1, 2], Step::Precommit, 0, Some(&first));
    assert_eq!(follower.decided(), Some(first));
    assert_eq!(follower.kept().count(), 0);
}
