use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use althing_gateway::{ClientError, api};

use super::NODES;
use super::play::{AGREE_LIMIT, Play, VICTIM, digest};
use crate::{Look, TestnetError, until};

/// What the five are asked.
const QUESTION: &str = "merge PR 12?";
/// How they vote: four of five decide a super-majority.
const CHOICES: [&str; NODES] = ["yes", "yes", "yes", "no", "yes"];
/// The exit code for an invalid certificate.
const EXIT_INVALID: i32 = 6;

impl Play<'_> {
    pub(super) async fn propose(&mut self) -> Result<String, TestnetError> {
        let voters: Vec<String> = self.testnet.nodes()[..NODES]
            .iter()
            .map(|node| node.agents.first().cloned().unwrap_or_default())
            .collect();
        let request = api::ProposeRequest {
            question: QUESTION.to_owned(),
            voters,
            method: "supermajority".to_owned(),
            ..api::ProposeRequest::default()
        };
        let client = self.testnet.client(1).await?;
        let proposed = client.propose(&request).await.map_err(TestnetError::api(1))?;
        self.proposal = proposed.proposal;
        Ok(format!(
            "\"{QUESTION}\", {} of {NODES} decide, even if {} cheats",
            proposed.threshold.unwrap_or(0),
            proposed.tolerates
        ))
    }

    pub(super) async fn cast(&mut self) -> Result<String, TestnetError> {
        for (index, choice) in CHOICES.into_iter().enumerate() {
            let number = index + 1;
            let client = self.testnet.client(number).await?;
            let request = api::BallotRequest { choice: choice.to_owned(), ..api::BallotRequest::default() };
            until(Some(number), "the proposal reaches the voter", AGREE_LIMIT, async || {
                match client.vote(&self.proposal).await {
                    Ok(_) => Ok(Look::Done(())),
                    Err(ClientError::Problem(problem)) if is(&problem, api::ProblemKind::NotFound) => {
                        Ok(Look::NotYet(problem.detail))
                    }
                    Err(error) => Err(TestnetError::api(number)(error)),
                }
            })
            .await?;
            client.cast(&self.proposal, &request).await.map_err(TestnetError::api(number))?;
        }
        Ok(CHOICES.join(", "))
    }

    pub(super) async fn decide(&mut self) -> Result<String, TestnetError> {
        for number in 1..=NODES + 1 {
            let client = self.testnet.client(number).await?;
            until(Some(number), "the vote is decided with all ballots counted", AGREE_LIMIT, async || {
                let vote = match client.vote(&self.proposal).await {
                    Ok(vote) => vote.summary,
                    Err(ClientError::Problem(problem)) if is(&problem, api::ProblemKind::NotFound) => {
                        return Ok(Look::NotYet(problem.detail));
                    }
                    Err(error) => return Err(TestnetError::api(number)(error)),
                };
                let done = vote.decided.as_deref() == Some("yes") && vote.voted == NODES as u64;
                Ok(if done {
                    Look::Done(())
                } else {
                    Look::NotYet(format!("{} of {NODES} ballots, {:?}", vote.voted, vote.state))
                })
            })
            .await?;
        }
        Ok(format!("\"yes\" on all {} nodes", NODES + 1))
    }

    /// The late node, which is no voter, writes the certificate.
    pub(super) async fn certify(&mut self) -> Result<String, TestnetError> {
        let bytes = self.fetch_certificate(NODES + 1).await?;
        let file = self.certificate.clone();
        fs::write(&file, &bytes).map_err(TestnetError::io("write", &file))?;
        self.verify(&file).await?;
        Ok(format!("exit 0, {} bytes: yes", bytes.len()))
    }

    pub(super) async fn forge(&mut self) -> Result<String, TestnetError> {
        let mut bytes = fs::read(&self.certificate).map_err(TestnetError::io("read", &self.certificate))?;
        let at = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        let file = self.testnet.dir().join("forged.cbor");
        fs::write(&file, &bytes).map_err(TestnetError::io("write", &file))?;
        let output = self.run_verify(&file).await?;
        let cause = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(EXIT_INVALID) => {
                let cause = cause.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Ok(format!("exit {EXIT_INVALID}, byte {at}: {cause}"))
            }
            _ => Err(TestnetError::unexpected(
                None,
                format!("verifying a forged certificate: expected exit 6, found {}: {cause}", output.status),
            )),
        }
    }

    pub(super) async fn kill(&mut self) -> Result<String, TestnetError> {
        let client = self.testnet.client(VICTIM).await?;
        let before = client.status().await.map_err(TestnetError::api(VICTIM))?;
        self.testnet.kill(VICTIM).await?;
        let seen = format!("node {VICTIM}, pid {}, {} records", before.pid, before.records);
        self.before = Some(before);
        Ok(seen)
    }

    /// The ledger must be what it was; the directory gains a lease at every start and is compared with the other nodes.
    pub(super) async fn restart(&mut self) -> Result<String, TestnetError> {
        let after = self.testnet.restart(VICTIM).await?;
        let before = self.before.take().unwrap_or_else(|| after.clone());
        let same = |what: &str, before: &str, after: &str| {
            if before == after {
                Ok(())
            } else {
                let cause =
                    format!("node {VICTIM} after its restart: expected {what} {before}, found {after}");
                Err(TestnetError::unexpected(VICTIM, cause))
            }
        };
        same("node id", &before.node, &after.node)?;
        same("incarnation", &before.incarnation, &after.incarnation)?;
        same("cards", &before.cards.to_string(), &after.cards.to_string())?;
        same("proposals", &before.proposals.to_string(), &after.proposals.to_string())?;
        same("ledger digest", &digest(&before, "ledger"), &digest(&after, "ledger"))?;

        let client = self.testnet.client(VICTIM).await?;
        for published in &self.published {
            let card = client.card(&published.agent).await.map_err(TestnetError::api(VICTIM))?;
            same("card", &published.card, &card.card)?;
            self.verify_envelope(VICTIM, &card)?;
        }
        let vote = client.vote(&self.proposal).await.map_err(TestnetError::api(VICTIM))?.summary;
        same("decision", "yes", vote.decided.as_deref().unwrap_or("none"))?;
        same("ballots", &NODES.to_string(), &vote.voted.to_string())?;
        let bytes = self.fetch_certificate(VICTIM).await?;
        let file = self.testnet.dir().join("certificate-after-restart.cbor");
        fs::write(&file, bytes).map_err(TestnetError::io("write", &file))?;
        self.verify(&file).await?;

        self.agreement("all nodes agree after the restart").await?;
        let ledger: String = digest(&after, "ledger").chars().take(16).collect();
        Ok(format!("{} cards, {NODES} ballots, certificate; ledger {ledger} as before", after.cards))
    }

    pub(super) async fn revote(&mut self) -> Result<String, TestnetError> {
        let client = self.testnet.client(VICTIM).await?;
        let ballot =
            |choice: &str| api::BallotRequest { choice: choice.to_owned(), ..api::BallotRequest::default() };
        let again = until(Some(VICTIM), "the node signs again", AGREE_LIMIT, async || {
            match client.cast(&self.proposal, &ballot(CHOICES[VICTIM - 1])).await {
                Ok(ballot) => Ok(Look::Done(ballot)),
                Err(ClientError::Problem(problem)) if is(&problem, api::ProblemKind::SigningStopped) => {
                    Ok(Look::NotYet(problem.detail))
                }
                Err(error) => Err(TestnetError::api(VICTIM)(error)),
            }
        })
        .await?;
        if !again.repeated {
            return Err(TestnetError::unexpected(VICTIM, "its ballot from before the crash was cast anew"));
        }
        match client.cast(&self.proposal, &ballot("no")).await {
            Err(ClientError::Problem(problem)) if is(&problem, api::ProblemKind::Conflict) => {
                Ok(format!("the same ballot is repeated; another: {}", problem.detail))
            }
            Err(error) => Err(TestnetError::api(VICTIM)(error)),
            Ok(_) => Err(TestnetError::unexpected(VICTIM, "a second, different ballot was signed")),
        }
    }

    async fn fetch_certificate(&self, number: usize) -> Result<Vec<u8>, TestnetError> {
        let client = self.testnet.client(number).await?;
        until(Some(number), "the certificate is made", AGREE_LIMIT, async || {
            match client.certificate(&self.proposal).await {
                Ok(bytes) => Ok(Look::Done(bytes)),
                Err(ClientError::Problem(problem)) if is(&problem, api::ProblemKind::NotReady) => {
                    Ok(Look::NotYet(problem.detail))
                }
                Err(error) => Err(TestnetError::api(number)(error)),
            }
        })
        .await
    }

    /// Verifies a certificate by a process of its own and checks what it says.
    async fn verify(&self, file: &Path) -> Result<(), TestnetError> {
        let output = self.run_verify(file).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let cause = String::from_utf8_lossy(&output.stderr);
            return Err(TestnetError::unexpected(
                None,
                format!("verifying {}: {}: {cause}", file.display(), output.status),
            ));
        }
        let json: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let (proposal, option) = (json["proposal"].as_str(), json["option"].as_str());
        if (proposal, option) == (Some(self.proposal.as_str()), Some("yes")) {
            Ok(())
        } else {
            let cause = format!("expected a certificate of \"yes\" for {}, found {said}", self.proposal);
            Err(TestnetError::unexpected(None, cause))
        }
    }

    async fn run_verify(&self, file: &Path) -> Result<Output, TestnetError> {
        let program = self.testnet.program();
        let mut command = tokio::process::Command::new(program);
        command.args(["--json", "vote", "verify"]).arg(file).arg("--genesis").arg(self.testnet.genesis());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command.output().await.map_err(TestnetError::io("run", program))
    }
}

fn is(problem: &api::Problem, kind: api::ProblemKind) -> bool {
    problem.kind() == Some(kind)
}
