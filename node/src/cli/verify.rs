use std::fs::File;
use std::io::Read;
use std::path::Path;

use althing_ballot::{
    CERTIFICATE_BYTES_MAX, CertificateError, ClosedVerified, Outcome, Proposal, Verified, VerifiedFile,
    verify_file,
};
use althing_gateway::api::Voter;
use althing_record::{AgentId, Network, NetworkId};
use serde_json::json;

use super::failure::{Exit, Failure};
use super::network;
use super::page::{Page, Text};

/// Verifies a certificate file without a node; the one place that knows how. `network` is the one that it must be from;
/// `None`: any. The error says what does not hold.
fn verify_certificate(bytes: &[u8], network: Option<NetworkId>) -> Result<VerifiedFile, CertificateError> {
    verify_file(bytes, network)
}

/// The outcome that a certificate proves, as votes show it.
pub(crate) fn outcome(verified: &VerifiedFile) -> String {
    match verified {
        VerifiedFile::Direct(verified) => verified.option.clone(),
        VerifiedFile::Closed(verified) => closed_outcome(verified).unwrap_or_else(|cause| cause.to_owned()),
    }
}

fn closed_outcome(verified: &ClosedVerified) -> Result<String, &'static str> {
    match verified.count.decides() {
        Outcome::Decided(option) => Ok(verified.proposal.options[option as usize].clone()),
        Outcome::Rejected(why) => Err(why.name()),
        Outcome::Undecided | Outcome::Conflicting(_) => Err("undecided"),
    }
}

pub(crate) fn verify(file: &Path, genesis: Option<&Path>) -> Result<Page, Failure> {
    let network = genesis.map(network::read).transpose()?.map(|network| network.id());
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(CERTIFICATE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::file("read the certificate", file, &error))?;
    let invalid = |cause: CertificateError| {
        let hint = if matches!(cause, CertificateError::ForeignNetwork { .. }) {
            "the certificate is of another network; check --genesis"
        } else {
            "do not rely on it; any node that saw the vote can make a new one"
        };
        Failure::new(Exit::Invalid, format!("{} is not a valid certificate: {cause}", file.display()))
            .hint(hint.to_owned())
    };
    match verify_certificate(&bytes, network).map_err(invalid)? {
        VerifiedFile::Direct(verified) => page(&verified),
        VerifiedFile::Closed(verified) => closed_page(&verified),
    }
}

fn closed_page(verified: &ClosedVerified) -> Result<Page, Failure> {
    let ClosedVerified { network, proposal, manifest, count, closers } = verified;
    let outcome = closed_outcome(verified);
    let said = match &outcome {
        Ok(option) => format!("\"{option}\" was decided"),
        Err(cause) => format!("rejected: {cause}"),
    };
    let mut pairs = heading(said, network, proposal);
    pairs.extend([
        ("took part", format!("{} of {}", count.participating, proposal.electorate.total())),
        ("closed by", format!("{} of {} closers", closers.0, closers.1)),
    ]);
    let mut text = Text::default();
    text.pairs(&pairs);
    group_lines(&mut text, proposal);
    if let Some(sealing) = proposal.sealing() {
        text.line(&format!("the ballots were {sealing}"));
    }
    let tallies = |round: &althing_tally::Round| -> Vec<Option<String>> {
        round.tally.iter().map(|votes| votes.map(|votes| count.outcome.votes(votes))).collect()
    };
    for (number, round) in (1..).zip(&count.outcome.rounds) {
        let shown = proposal.options.iter().zip(tallies(round));
        let shown = shown.filter_map(|(option, votes)| votes.map(|votes| format!("{option} {votes}")));
        text.line(&format!("round {number}: {}", shown.collect::<Vec<_>>().join(", ")));
    }
    let rows: Vec<Vec<String>> = manifest
        .choices
        .iter()
        .map(|(voter, choice)| vec![voter.to_string(), choice.text(proposal)])
        .chain(manifest.void.iter().map(|voter| vec![voter.to_string(), "void: two ballots".to_owned()]))
        .chain(
            manifest
                .invalid
                .iter()
                .map(|voter| vec![voter.to_string(), "invalid: sealed wrongly".to_owned()]),
        )
        .collect();
    text.line("").table(&["VOTER", "CHOICE"], &rows);
    let voters: Vec<_> = manifest
        .choices
        .iter()
        .map(|(voter, choice)| shown(*voter, choice.text(proposal), proposal))
        .collect();
    let void: Vec<_> = manifest.void.iter().map(ToString::to_string).collect();
    let invalid: Vec<_> = manifest.invalid.iter().map(ToString::to_string).collect();
    let sealed = proposal.sealing().map(|sealing| {
        json!({"threshold": sealing.threshold(), "trustees": sealing.trustees().len(), "invalid": invalid})
    });
    let rounds: Vec<_> = count.outcome.rounds.iter().map(tallies).collect();
    let document = document(
        network,
        proposal,
        json!({
            "option": outcome.as_ref().ok(),
            "rejected": outcome.as_ref().err(),
            "participating": count.participating,
            "closers": closers.1,
            "signed_by": closers.0,
            "rounds": rounds,
            "voters": voters,
            "void": void,
            "sealed": sealed,
        }),
    );
    Page::new(&document, text)
}

fn page(verified: &Verified) -> Result<Page, Failure> {
    let Verified { network, proposal, option, weight, voters } = verified;
    let mut pairs = heading(format!("\"{option}\" was decided"), network, proposal);
    pairs.push(("votes", votes(*weight, proposal)));
    let mut text = Text::default();
    text.pairs(&pairs);
    group_lines(&mut text, proposal);
    let rows: Vec<Vec<String>> = voters.iter().map(|voter| vec![voter.to_string(), option.clone()]).collect();
    text.line("").table(&["VOTER", "CHOICE"], &rows);
    let voters: Vec<_> = voters.iter().map(|voter| shown(*voter, option.clone(), proposal)).collect();
    let document = document(
        network,
        proposal,
        json!({
            "option": option,
            "threshold": proposal.threshold(),
            "tolerates": proposal.electorate.tolerates(),
            "votes": weight,
            "voters": voters,
        }),
    );
    Page::new(&document, text)
}

/// What people are told of every certificate.
fn heading(said: String, network: &Network, proposal: &Proposal) -> Vec<(&'static str, String)> {
    let of = proposal.item.map_or(String::new(), |number| format!(", question {number}"));
    vec![
        ("valid", said),
        ("question", proposal.question.clone()),
        ("proposal", format!("{}{of}", proposal.id)),
        ("proposer", proposal.proposer.to_string()),
        ("network", format!("{} ({})", &*network.genesis().name, network.id())),
        ("method", proposal.rule.to_string()),
    ]
}

/// The document about a certificate: what every one has, and `more`.
fn document(network: &Network, proposal: &Proposal, more: serde_json::Value) -> serde_json::Value {
    let mut document = json!({
        "schema": "althing.verified-certificate/v1",
        "valid": true,
        "network": network.id().to_string(),
        "network_name": network.genesis().name.to_string(),
        "proposal": proposal.id.to_string(),
        "number": proposal.item,
        "proposer": proposal.proposer.to_string(),
        "question": proposal.question,
        "method": proposal.rule.to_string(),
        "electorate": proposal.electorate.voters().len(),
        "group": proposal.electorate.group().map(|of| of.group.to_string()),
        "group_head": proposal.electorate.group().map(|of| of.head.to_string()),
        "holders": proposal.electorate.holders().map(|holders| json!({
            "skill": &*holders.terms.skill,
            "score_min": holders.terms.score_min,
            "rating_epoch": holders.terms.epoch,
            "cap": holders.cap,
            "capped": holders.masses.iter().filter(|mass| **mass > holders.cap).count(),
        })),
    });
    if let (Some(all), serde_json::Value::Object(more)) = (document.as_object_mut(), more) {
        all.extend(more);
    }
    document
}

/// The group whose members the voters are proved to be, and after which of its changes; or the skill that they are said to
/// have.
fn group_lines(text: &mut Text, proposal: &Proposal) {
    if let Some(of) = proposal.electorate.group() {
        text.pairs(&[("group", of.group.to_string()), ("members at", of.head.to_string())]);
    }
    if let Some(holders) = proposal.electorate.holders() {
        let capped = holders.masses.iter().filter(|mass| **mass > holders.cap).count();
        let total = proposal.electorate.total();
        text.pairs(&[
            ("voters", format!("{}, as the proposer says", holders.terms)),
            ("weights", format!("at most {} of {total}; {capped} would have had more", holders.cap)),
        ]);
    }
}

fn votes(weight: u64, proposal: &Proposal) -> String {
    let needed = proposal.threshold().unwrap_or(0);
    format!("{weight} of {}, needed {needed}", proposal.electorate.total())
}

/// A voter as `vote show` has them.
fn shown(voter: AgentId, choice: String, proposal: &Proposal) -> Voter {
    let weight = proposal.electorate.weight(voter).unwrap_or(0);
    Voter { agent: voter.to_string(), weight, choices: vec![choice], acks: 0, void: false, invalid: false }
}
