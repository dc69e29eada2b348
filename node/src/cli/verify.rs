use std::fs::File;
use std::io::Read;
use std::path::Path;

use althing_ballot::{CERTIFICATE_BYTES_MAX, Certificate, CertificateError, Verified};
use althing_gateway::api::Voter;
use althing_record::NetworkId;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::network;
use super::page::{Page, Text};

/// Verifies a certificate file without a node; the one place that knows how. `network` is the one that it must be from;
/// `None`: any. The error says what does not hold.
fn verify_certificate(bytes: &[u8], network: Option<NetworkId>) -> Result<Verified, CertificateError> {
    Certificate::verify(bytes, network)
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
    page(&verify_certificate(&bytes, network).map_err(invalid)?)
}

fn page(verified: &Verified) -> Result<Page, Failure> {
    let Verified { network, proposal, option, weight, voters } = verified;
    let electorate = proposal.electorate.voters().len();
    let mut text = Text::default();
    text.pairs(&[
        ("valid", format!("\"{option}\" was decided")),
        ("question", proposal.question.clone()),
        ("proposal", proposal.id.to_string()),
        ("proposer", proposal.proposer.to_string()),
        ("network", format!("{} ({})", &*network.genesis().name, network.id())),
        ("method", proposal.rule.to_string()),
        ("votes", format!("{weight} of {}, needed {}", proposal.electorate.total(), proposal.threshold)),
    ]);
    let rows: Vec<Vec<String>> = voters.iter().map(|voter| vec![voter.to_string(), option.clone()]).collect();
    text.line("").table(&["VOTER", "CHOICE"], &rows);
    let voters: Vec<_> = voters
        .iter()
        .map(|voter| Voter { agent: voter.to_string(), choices: vec![option.clone()] })
        .collect();
    let document = json!({
        "schema": "althing.verified-certificate/v1",
        "valid": true,
        "network": network.id().to_string(),
        "network_name": network.genesis().name.to_string(),
        "proposal": proposal.id.to_string(),
        "proposer": proposal.proposer.to_string(),
        "question": proposal.question,
        "option": option,
        "method": proposal.rule.to_string(),
        "threshold": proposal.threshold,
        "tolerates": proposal.electorate.tolerates(),
        "electorate": electorate,
        "votes": weight,
        "voters": voters,
    });
    Page::new(&document, text)
}
