use althing_ballot::{Choice, CloseReport, Electorate, ProposalBody, Rule, leaf};
use althing_record::{
    AgentId, AgentKey, Content, Draft, Incarnation, Kind, Millis, NodeId, Placement, Record, RecordId, cbor,
};

use crate::Sim;
use crate::build::{agent_key, node_key};
use crate::shell::message;

/// An author who does not keep the rules: it signs what it likes and hands it to whom it likes.
pub struct Villain {
    key: AgentKey,
    node: NodeId,
    incarnation: Incarnation,
    next: u64,
}

impl Villain {
    /// The `n`th villain.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self::with_key(agent_key(2_000_000 + n), n)
    }

    /// One who speaks with the key of somebody, at the `n`th villain's node.
    pub(crate) fn with_key(key: AgentKey, n: usize) -> Self {
        Self { key, node: node_key(2_000_000 + n).node(), incarnation: Incarnation([0xbb; 8]), next: 0 }
    }

    /// Its agent.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        self.key.agent()
    }

    /// A ballot, the next link of its vote chain.
    pub fn ballot(&mut self, proposal: RecordId, choice: Choice, made: Millis) -> Record {
        let seq = self.next;
        self.next += 1;
        self.link(seq, Kind::BallotBatch, Content::Leaves(vec![leaf(proposal, &choice)]), made)
    }

    /// Two ballots of different content for one proposal, each at its own position.
    pub fn two_ballots(&mut self, proposal: RecordId, choices: [Choice; 2], made: Millis) -> [Record; 2] {
        choices.map(|choice| self.ballot(proposal, choice, made))
    }

    /// A close report with any ballots: voters' places, ascending, and batches.
    ///
    /// # Panics
    /// When there are too many.
    pub fn report(&mut self, proposal: RecordId, ballots: &[(u16, RecordId)], made: Millis) -> Record {
        let seq = self.next;
        self.next += 1;
        let body = CloseReport::body(proposal, ballots).expect("few ballots");
        self.link(seq, Kind::CloseReport, Content::Body(cbor::to_vec(&body)), made)
    }

    /// Many ballots in one batch.
    pub fn batch(&mut self, ballots: &[(RecordId, Choice)], made: Millis) -> Record {
        let seq = self.next;
        self.next += 1;
        let leaves = ballots.iter().map(|(proposal, choice)| leaf(*proposal, choice)).collect();
        self.link(seq, Kind::BallotBatch, Content::Leaves(leaves), made)
    }

    /// Leaves of any shape, as a batch of ballots.
    pub fn leaves(&mut self, leaves: Vec<Vec<u8>>, made: Millis) -> Record {
        let seq = self.next;
        self.next += 1;
        self.link(seq, Kind::BallotBatch, Content::Leaves(leaves), made)
    }

    /// Any link.
    pub fn any(&mut self, kind: Kind, body: Vec<u8>, made: Millis) -> Record {
        let seq = self.next;
        self.next += 1;
        self.link(seq, kind, Content::Body(body), made)
    }

    /// A vote in an agreement.
    pub fn vote(
        &mut self,
        proposal: RecordId,
        step: althing_agree::Step,
        round: u32,
        value: Option<althing_record::Digest>,
        made: Millis,
    ) -> Record {
        let statement = althing_agree::Statement {
            network: althing_testkit::network().id(),
            instance: althing_agree::InstanceId(proposal.0),
            closer: self.agent(),
            step,
            round,
            value,
            valid_round: None,
            key: None,
        };
        let map = cbor::to_vec(&statement);
        let mut signed = 15_u16.to_be_bytes().to_vec();
        signed.extend_from_slice(b"althing/agree/1");
        signed.extend_from_slice(&map);
        let signature = self.key.sign(&signed);
        let mut message = cbor::Writer::default();
        message.array(3);
        message.uint(2);
        message.bytes(&map);
        message.bytes(&signature);
        let mut entry = cbor::Writer::default();
        entry.array(1);
        entry.bytes(&message.into_bytes());
        let body = althing_ballot::AgreementBody {
            proposal,
            entry: cbor::Blob::try_from(entry.into_bytes()).expect("short"),
        };
        self.any(Kind::Agreement, cbor::to_vec(&body), made)
    }

    /// Two proposals at one position of its chain.
    ///
    /// # Panics
    /// Never: the proposals are valid.
    pub fn fork(&mut self, made: Millis) -> [Record; 2] {
        let seq = self.next;
        self.next += 1;
        let electorate = Electorate::equal(vec![self.agent()]).expect("one voter");
        [1, 2].map(|n| {
            let body = ProposalBody::direct("fork?", &[], Rule::Unanimous, &electorate, 60_000, [n; 8]);
            let body = cbor::to_vec(&body.expect("a valid proposal"));
            self.link(seq, Kind::Proposal, Content::Body(body), made)
        })
    }

    fn link(&self, seq: u64, kind: Kind, content: Content, made: Millis) -> Record {
        let placement = Placement::Chain {
            stream: "vote".try_into().expect("a stream's name"),
            incarnation: Some(self.incarnation),
            seq,
            prev: (seq > 0).then_some(RecordId([seq as u8; 32])),
        };
        let draft = Draft {
            agent: self.agent(),
            key_event: None,
            group: None,
            kind,
            placement,
            made,
            expires: None,
            content,
        };
        draft.sign(&self.key, &althing_testkit::network()).expect("a valid draft")
    }

    /// Gossips bytes of any content to some nodes, as if they came from a peer of theirs.
    ///
    /// # Panics
    /// When `kind` is not gossiped.
    pub fn tell(&self, sim: &mut Sim, nodes: &[usize], kind: Kind, bytes: &[u8]) {
        let message = message(kind.domain().expect("a kind that is gossiped"), bytes);
        for to in nodes {
            sim.gossip_to(*to, self.node, &message);
        }
    }
}
