use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use althing_card::Card;
use althing_gateway::Client;
use althing_gateway::api::ImportOutcome;
use althing_record::cbor::{self, Text};
use althing_record::{
    AgentKey, Content, Draft, Inception, Kind, Millis, Network, Placement, recovery_key_hash,
};
use althing_testnet::Testnet;

use super::BenchError;
use super::lab::card;
use super::node::{SETTLE, resident};

/// Cards of one run, each of an agent of its own.
pub(crate) const CARDS: u32 = 10_000;
/// Agents whose records are imported in one request.
const CHUNK: u32 = 50;
/// How long a card is valid, in milliseconds.
const LIFETIME_MS: u64 = 24 * 60 * Millis::MINUTE;

/// What storing [`CARDS`] cards and the identities of their agents adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CostOfCards {
    /// Resident memory in bytes, for each card.
    pub(crate) memory: f64,
    /// Bytes on disk, for each card.
    pub(crate) disk: f64,
    /// Cards imported a second.
    pub(crate) rate: f64,
}

pub(crate) async fn cost_of_cards(testnet: &Testnet) -> Result<CostOfCards, BenchError> {
    let node = testnet.node(1)?;
    let client = testnet.client(1).await?;
    let database = node.home.join("store/db");
    let before = (resident(node.process.pid)?, bytes_in(&database)?);
    let start = Instant::now();
    for first in (0..CARDS).step_by(CHUNK as usize) {
        import(&client, testnet.network(), first..first + CHUNK).await?;
    }
    let took = start.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let after = (resident(node.process.pid)?, bytes_in(&database)?);
    let cards = f64::from(CARDS);
    Ok(CostOfCards {
        memory: (after.0 - before.0) / cards,
        disk: (after.1 - before.1) / cards,
        rate: cards / took,
    })
}

async fn import(client: &Client, network: &Network, numbers: std::ops::Range<u32>) -> Result<(), BenchError> {
    let mut records = Vec::new();
    for number in numbers {
        records.extend(agent(number, network)?);
    }
    let imported = client.import(&records).await.map_err(BenchError::client("import cards"))?;
    match imported.records.iter().find(|record| record.outcome != ImportOutcome::New) {
        None => Ok(()),
        Some(record) => Err(BenchError::Unexpected(format!("a record was not taken: {record:?}"))),
    }
}

/// The identity and the card of one agent, as bytes.
fn agent(number: u32, network: &Network) -> Result<[Vec<u8>; 2], BenchError> {
    let mut seed = [0xca; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = AgentKey::from_seed(&seed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = Millis(u64::try_from(now).unwrap_or(u64::MAX));
    let draft = |kind, placement, made, expires, body| Draft {
        agent: key.agent(),
        key_event: None,
        group: None,
        kind,
        placement,
        made,
        expires,
        content: Content::Body(body),
    };
    let identity = Placement::Chain {
        stream: Text::try_from("identity").unwrap_or_default(),
        incarnation: None,
        seq: 0,
        prev: None,
    };
    let body = cbor::to_vec(&Inception { recovery_key_hash: recovery_key_hash(&key.public()) });
    let inception = draft(Kind::Inception, identity, network.genesis().created, None, body);
    let json = card(&format!("agent {number}"), &format!("bench/cards/{}", number % 100));
    let card = Card::new(json).map_err(|error| BenchError::unexpected(&error))?;
    let slot = Placement::Slot { name: Text::default(), revision: now.0 };
    let card = draft(Kind::Card, slot, now, Some(now.plus(LIFETIME_MS)), cbor::to_vec(&card.body()));
    let sign = |draft: Draft| match draft.sign(&key, network) {
        Ok(record) => Ok(record.bytes().to_vec()),
        Err(error) => Err(BenchError::unexpected(&error)),
    };
    Ok([sign(inception)?, sign(card)?])
}

/// The size of the files in a directory.
fn bytes_in(dir: &Path) -> Result<f64, BenchError> {
    let entries = std::fs::read_dir(dir).map_err(|error| BenchError::unexpected(&error))?;
    // A file may go while it is looked at.
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len());
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let sum = sizes.sum::<u64>() as f64;
    Ok(sum)
}
