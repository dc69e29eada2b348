use std::path::PathBuf;
use std::time::{Duration, Instant};

use althing_gateway::api;
use althing_record::Record;

use super::{DemoNode, DemoStep, NODES, millis};
use crate::{Look, Testnet, TestnetError, until};

/// How long the nodes may take to agree on something.
pub(super) const AGREE_LIMIT: Duration = Duration::from_secs(60);
/// The skill that the late node looks for, and whose special case the first card has.
const SKILL: &str = "text/translate";
/// The cards that nodes 1 to 3 publish.
const CARDS: [&str; 3] = [
    include_str!("../../../examples/translator.json"),
    include_str!("../../../examples/summarizer.json"),
    include_str!("../../../examples/reviewer.json"),
];
/// The node that is killed: one with a card and a vote.
pub(super) const VICTIM: usize = 3;

/// The demo as it goes on.
pub(super) struct Play<'a> {
    pub(super) testnet: Testnet,
    say: &'a mut dyn FnMut(&DemoStep),
    steps: Vec<DemoStep>,
    title: &'static str,
    /// What nodes 1 to 3 published.
    pub(super) published: Vec<api::Published>,
    pub(super) proposal: String,
    pub(super) certificate: PathBuf,
    /// What the victim said of itself before it was killed.
    pub(super) before: Option<api::Status>,
}

impl<'a> Play<'a> {
    pub(super) fn new(testnet: Testnet, say: &'a mut dyn FnMut(&DemoStep)) -> Self {
        let certificate = testnet.dir().join("certificate.cbor");
        Self {
            testnet,
            say,
            steps: Vec::new(),
            title: "start",
            published: Vec::new(),
            proposal: String::new(),
            certificate,
            before: None,
        }
    }

    /// All steps, in order.
    pub(super) async fn all(&mut self) -> Result<Vec<DemoNode>, TestnetError> {
        self.step("five nodes start and join by bootstrap", Self::join).await?;
        self.step("three agents publish signed cards", Self::publish).await?;
        self.step("the cards reach every node", Self::spread).await?;
        self.step("a sixth node joins late", Self::join_late).await?;
        self.step("it finds an agent by skill, through Kademlia", Self::find).await?;
        self.step("every node has that card, and its signature holds", Self::verify_card).await?;
        self.step("a proposal is put to the five agents", Self::propose).await?;
        self.step("the five vote", Self::cast).await?;
        self.step("every node sees the decision", Self::decide).await?;
        self.step("another process verifies the certificate offline", Self::certify).await?;
        self.step("the same with one byte changed is refused", Self::forge).await?;
        self.step("a node is killed with SIGKILL", Self::kill).await?;
        self.step("started again, it has its cards, votes and certificate", Self::restart).await?;
        self.step("it votes again only as before", Self::revote).await?;
        self.title = "sum up";
        self.sum_up().await
    }

    /// The step under way: its number and what it does.
    pub(super) fn current(&self) -> (usize, &'static str) {
        (self.steps.len() + 1, self.title)
    }

    pub(super) fn into_parts(self) -> (Testnet, Vec<DemoStep>, PathBuf) {
        (self.testnet, self.steps, self.certificate)
    }

    async fn step(
        &mut self,
        title: &'static str,
        act: impl AsyncFnOnce(&mut Self) -> Result<String, TestnetError>,
    ) -> Result<(), TestnetError> {
        self.title = title;
        let start = Instant::now();
        let seen = act(self).await?;
        let step = DemoStep { number: self.steps.len() + 1, title, seen, took_ms: millis(start) };
        (self.say)(&step);
        self.steps.push(step);
        Ok(())
    }

    async fn join(&mut self) -> Result<String, TestnetError> {
        self.testnet.launch(NODES, &mut |_| {}).await?;
        let network = self.testnet.network().id().short();
        Ok(format!("{NODES} processes in network {network}, each sees a peer"))
    }

    async fn publish(&mut self) -> Result<String, TestnetError> {
        for (index, json) in CARDS.iter().enumerate() {
            let number = index + 1;
            let client = self.testnet.client(number).await?;
            let published =
                client.publish_card(json.as_bytes(), None).await.map_err(TestnetError::api(number))?;
            self.published.push(published);
        }
        let skills: Vec<String> = self.published.iter().flat_map(|card| card.skills.clone()).collect();
        Ok(skills.join(", "))
    }

    async fn spread(&mut self) -> Result<String, TestnetError> {
        let statuses = self.agreement("the nodes agree on the directory").await?;
        Ok(format!("{} cards on each of {} nodes, digests equal", CARDS.len(), statuses.len()))
    }

    async fn join_late(&mut self) -> Result<String, TestnetError> {
        self.testnet.launch(NODES + 1, &mut |_| {}).await?;
        let node = self.testnet.node(NODES + 1)?;
        Ok(node.node.clone().unwrap_or_default())
    }

    async fn find(&mut self) -> Result<String, TestnetError> {
        let late = NODES + 1;
        let client = self.testnet.client(late).await?;
        let expected = &self.card(0)?.agent;
        let query = api::FindQuery {
            skill: Some(SKILL.to_owned()),
            limit: Some(10),
            live: Some(true),
            ..api::FindQuery::default()
        };
        let found = until(Some(late), "a live lookup finds the translator", AGREE_LIMIT, async || {
            let found = client.find(&query).await.map_err(TestnetError::api(late))?;
            let agent = found.agents.iter().find(|agent| &agent.agent == expected);
            Ok(match agent {
                Some(agent) if found.live && agent.source == api::Source::Lookup => Look::Done(found),
                Some(_) => Look::NotYet("it was found in the local index only".to_owned()),
                None => Look::NotYet(format!(
                    "{} agents found; asked {} of {} pages, {} of {} providers silent",
                    found.agents.len(),
                    found.pages_answered,
                    found.pages,
                    found.providers_silent,
                    found.providers
                )),
            })
        })
        .await?;
        Ok(format!(
            "{SKILL}: {} ({}), asked {} of {} pages, {} of {} providers silent",
            found.agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>().join(", "),
            expected,
            found.pages_answered,
            found.pages,
            found.providers_silent,
            found.providers
        ))
    }

    async fn verify_card(&mut self) -> Result<String, TestnetError> {
        let published = self.card(0)?.clone();
        for number in 1..=NODES + 1 {
            let client = self.testnet.client(number).await?;
            let card = client.card(&published.agent).await.map_err(TestnetError::api(number))?;
            if card.card != published.card || card.json != CARDS[0] {
                return Err(TestnetError::unexpected(
                    number,
                    format!("node {number}: expected card {}, found {}", published.card, card.card),
                ));
            }
            self.verify_envelope(number, &card)?;
        }
        Ok(format!("{} envelopes signed by {}", NODES + 1, published.agent))
    }

    /// Waits until all nodes hold the same records, with all cards.
    pub(super) async fn agreement(&self, what: &str) -> Result<Vec<api::Status>, TestnetError> {
        let numbers: Vec<usize> = self.testnet.nodes().iter().map(|node| node.number).collect();
        let cards = CARDS.len() as u64;
        until(None, what, AGREE_LIMIT, async || {
            let mut statuses: Vec<api::Status> = Vec::new();
            for &number in &numbers {
                let client = self.testnet.client(number).await?;
                let status = client.status().await.map_err(TestnetError::api(number))?;
                if status.cards != cards {
                    return Ok(Look::NotYet(format!("node {number} has {} of {cards} cards", status.cards)));
                }
                if let Some(first) = statuses.first()
                    && first.domains != status.domains
                {
                    return Ok(Look::NotYet(format!("node {number} has other digests than node 1")));
                }
                statuses.push(status);
            }
            Ok(Look::Done(statuses))
        })
        .await
    }

    pub(super) fn card(&self, index: usize) -> Result<&api::Published, TestnetError> {
        self.published.get(index).ok_or_else(|| TestnetError::unexpected(None, "no card was published"))
    }

    /// Verifies a card's envelope in this process, which is no node.
    pub(super) fn verify_envelope(&self, number: usize, card: &api::Card) -> Result<(), TestnetError> {
        let wrong = |cause: String| TestnetError::unexpected(number, format!("node {number}: {cause}"));
        let bytes = hex::decode(&card.envelope).map_err(|error| wrong(format!("envelope: {error}")))?;
        let record = Record::verify(&bytes, self.testnet.network())
            .map_err(|error| wrong(format!("card {} does not verify: {error}", card.card)))?;
        if record.agent().to_string() == card.agent && record.id().to_string() == card.card {
            Ok(())
        } else {
            Err(wrong(format!("card {} is another one than it says", card.card)))
        }
    }

    async fn sum_up(&mut self) -> Result<Vec<DemoNode>, TestnetError> {
        let statuses = self.agreement("the nodes agree at the end").await?;
        let mut nodes = Vec::new();
        for (index, status) in statuses.into_iter().enumerate() {
            let number = index + 1;
            let client = self.testnet.client(number).await?;
            let vote = client.vote(&self.proposal).await.map_err(TestnetError::api(number))?;
            nodes.push(DemoNode {
                number,
                peers: status.peers,
                cards: status.cards,
                records: status.records,
                directory: digest(&status, "directory"),
                ledger: digest(&status, "ledger"),
                decided: vote.summary.decided.unwrap_or_default(),
                node: status.node,
            });
        }
        Ok(nodes)
    }
}

pub(super) fn digest(status: &api::Status, domain: &str) -> String {
    status.domains.iter().find(|row| row.name == domain).map(|row| row.digest.clone()).unwrap_or_default()
}
