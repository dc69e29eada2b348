//! Calls of a node that cannot call anybody, and exposes what it is asked to.

use std::sync::{Arc, Mutex};

use althing_engine::Refusal;
use althing_gateway::api::{ExposeRequest, Exposed, KeyRotated, Unexposed};
use althing_gateway::{CallDesk, Calls, Doing, Hold};
use althing_record::{AgentId, Millis, Network, NodeKey};
use althing_tunnel::{
    BoxIo, CallLog, Caller, Dial, DialError, Exposures, KeyBook, Limits, Line, Meter, Place,
};
use tokio::sync::mpsc;

use crate::samples::{self, HOSTED};
use crate::scripted::Script;

#[derive(Debug)]
struct Nowhere;

impl Dial for Nowhere {
    fn dial(
        &self,
        place: Place,
        _: Line,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<BoxIo, DialError>> + Send>> {
        Box::pin(async move { Err(DialError::Unreachable { node: place.node, cause: "no network".into() }) })
    }
}

/// Exposes whatever it is asked to, unless the script refuses.
struct Desk {
    script: Arc<Mutex<Script>>,
    names: Mutex<Vec<String>>,
}

impl Desk {
    fn refused(&self) -> Result<(), Refusal> {
        let Script::Refuse(kind) = *self.script.lock().unwrap() else { return Ok(()) };
        Err(Refusal { kind, cause: "the script refuses".into(), hint: None })
    }
}

impl CallDesk for Desk {
    fn expose(&self, wish: ExposeRequest) -> Doing<Exposed> {
        let refused = self.refused();
        let name = wish.name.unwrap_or_default();
        self.names.lock().unwrap().push(name.clone());
        let exposed =
            Exposed { agent: HOSTED.to_string(), name, skills: vec!["text".into()], ..Exposed::default() };
        Box::pin(async move { refused.map(|()| exposed) })
    }

    fn rotate(&self, name: String) -> Doing<KeyRotated> {
        let refused = self.refused();
        let agent = HOSTED.to_string();
        let rotated =
            KeyRotated { schema: "althing.key-rotated/v1".into(), agent, name, ..KeyRotated::default() };
        Box::pin(async move { refused.map(|()| rotated) })
    }

    fn unexpose(&self, name: String) -> Doing<Unexposed> {
        let refused = self.refused();
        let agent = HOSTED.to_string();
        Box::pin(
            async move { refused.map(|()| Unexposed { schema: "althing.unexposed/v1".into(), agent, name }) },
        )
    }

    fn hold(&self, name: &str) -> Option<Hold> {
        self.names
            .lock()
            .unwrap()
            .iter()
            .any(|known| known == name)
            .then(|| Hold { name: name.into(), number: 1 })
    }

    fn release(&self, _: Hold) {}

    fn exposed(&self) -> Vec<Exposed> {
        let names = self.names.lock().unwrap();
        let shown = |name: &String| Exposed {
            agent: HOSTED.to_string(),
            name: name.clone(),
            skills: vec!["text".into()],
            ..Exposed::default()
        };
        names.iter().map(shown).collect()
    }

    fn agent(&self, name: &str) -> Option<AgentId> {
        self.names.lock().unwrap().iter().any(|known| known == name).then_some(HOSTED)
    }
}

pub(crate) fn calls(script: &Arc<Mutex<Script>>) -> Calls {
    let network = Network::builtin();
    let node = NodeKey::from_seed(&[1; 32]).node();
    let (keep, _) = mpsc::channel(1);
    let now: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(|| samples::NOON);
    Calls {
        network: network.id(),
        caller: Caller::new(
            Arc::new(Nowhere),
            KeyBook::new(network, Arc::new(|_| Ok(Vec::new())), Arc::new(|_| {})),
            node,
            now,
            &Limits::default(),
            (Meter::default(), keep),
        ),
        exposures: Exposures::default(),
        log: CallLog::default(),
        identity: None,
        desk: Arc::new(Desk { script: Arc::clone(script), names: Mutex::default() }),
    }
}
