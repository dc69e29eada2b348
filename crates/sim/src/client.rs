use althing_engine::{Answer, AnswersDraft, Ask, AskNo, DocketDraft, Find, ProposalDraft, Said, Taken};
use althing_record::{AgentId, Record, RecordId};

use crate::Sim;

/// A local client of one node. What it asks is handed over at once; the answer comes as the network runs.
pub struct Client<'a> {
    pub(crate) sim: &'a mut Sim,
    pub(crate) node: usize,
}

impl Client<'_> {
    /// The node's first agent.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        self.sim.agent(self.node)
    }

    /// Hands over any ask.
    pub fn ask(self, ask: Ask) -> AskNo {
        self.sim.ask(self.node, ask)
    }

    /// Has the node take a record in from a file. Gives what became of it.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn imports(self, record: &Record) -> Taken {
        let no = self.sim.ask(self.node, Ask::Import { records: vec![record.clone()] });
        let Answer::Imported(mut taken) = self.sim.answer(no) else {
            panic!("expected what became of a record")
        };
        taken.remove(0)
    }

    /// Publishes a card for the node's agent.
    pub fn publish(self, json: Vec<u8>) -> AskNo {
        let agent = self.agent();
        self.ask(Ask::PublishCard { agent, json })
    }

    /// Takes the card of the node's agent back.
    pub fn retract(self) -> AskNo {
        let agent = self.agent();
        self.ask(Ask::RetractCard { agent })
    }

    /// Publishes the same card for each of the node's agents.
    pub fn publish_all(self, json: &[u8]) -> Vec<AskNo> {
        let (sim, node) = (self.sim, self.node);
        let agents = sim.hosted(node);
        let ask = |agent| Ask::PublishCard { agent, json: json.to_vec() };
        agents.into_iter().map(|agent| sim.ask(node, ask(agent))).collect()
    }

    /// Puts a question in the name of the node's agent.
    pub fn propose(self, draft: ProposalDraft) -> AskNo {
        let agent = self.agent();
        self.ask(Ask::Propose { agent, draft })
    }

    /// Casts a ballot of the node's agent.
    pub fn cast(self, proposal: RecordId, choice: &str) -> AskNo {
        self.say(proposal, Said::Option(choice.into()))
    }

    /// Casts any ballot of the node's agent.
    pub fn say(self, proposal: RecordId, choice: Said) -> AskNo {
        let agent = self.agent();
        self.ask(Ask::Cast { agent, proposal, choice })
    }

    /// Puts many questions and waits for the docket's id.
    ///
    /// # Panics
    /// When it is refused.
    pub fn proposes_docket(self, draft: DocketDraft) -> RecordId {
        let (agent, sim, node) = (self.agent(), self.sim, self.node);
        let no = sim.ask(node, Ask::ProposeDocket { agent, draft });
        let answer = sim.answer(no);
        let Answer::Proposed { proposal, .. } = answer else {
            panic!("seed {}: expected a docket, found {answer:?}", sim.seed_no())
        };
        proposal
    }

    /// Answers all questions of a docket in the name of the node's agent.
    pub fn answers(self, docket: RecordId, answers: AnswersDraft) -> AskNo {
        let agent = self.agent();
        self.ask(Ask::AnswerDocket { agent, docket, answers })
    }

    /// Looks for a skill, in the network if `live`.
    pub fn find(self, skill: &str, live: bool) -> AskNo {
        self.find_by(&format!("skill:{skill}"), live)
    }

    /// Looks for who matches a query, in the network if `live`.
    ///
    /// # Panics
    /// When it is not a query.
    pub fn find_by(self, query: &str, live: bool) -> AskNo {
        let query = query.parse().expect("a query");
        self.ask(Ask::Find(Find { query, limit: 100, after: None, live }))
    }

    /// Proposes and waits for the id.
    ///
    /// # Panics
    /// When it is refused.
    pub fn proposes(self, draft: ProposalDraft) -> RecordId {
        let (sim, node) = (self.sim, self.node);
        let no = sim.node(node).propose(draft);
        let answer = sim.answer(no);
        let Answer::Proposed { proposal, .. } = answer else {
            panic!("seed {}: expected a proposal, found {answer:?}", sim.seed_no())
        };
        proposal
    }

    /// The certificate of a proposal, if it is decided here.
    pub fn certificate(self, proposal: RecordId) -> Option<Vec<u8>> {
        let (sim, node) = (self.sim, self.node);
        let no = sim.node(node).ask(Ask::Certificate { proposal, question: None });
        if let Answer::Certificate(bytes) = sim.answer(no) { Some(bytes) } else { None }
    }
}
