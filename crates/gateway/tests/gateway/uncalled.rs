//! Calls of a node that cannot call anybody, and exposes what it is asked to.

use std::sync::{Arc, Mutex};

use althing_gateway::api::{ExposeRequest, Exposed, Unexposed};
use althing_gateway::{CallDesk, Calls, Doing};
use althing_record::{AgentId, Millis, Network, NodeKey};
use althing_tunnel::{BoxIo, CallLog, Caller, Dial, DialError, Exposures, Limits, Line, Place};
use tokio::sync::mpsc;

use crate::samples;

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

#[derive(Default)]
struct Desk(Mutex<Vec<Exposed>>);

impl CallDesk for Desk {
    fn expose(&self, wish: ExposeRequest) -> Doing<Exposed> {
        let exposed = Exposed {
            agent: samples::HOSTED.to_string(),
            name: wish.name.unwrap_or_default(),
            skills: vec!["text".into()],
            ..Exposed::default()
        };
        self.0.lock().unwrap().push(exposed.clone());
        Box::pin(async move { Ok(exposed) })
    }

    fn unexpose(&self, name: String) -> Doing<Unexposed> {
        let mut all = self.0.lock().unwrap();
        let before = all.len();
        all.retain(|exposed| exposed.name != name);
        let refusal = althing_engine::Refusal {
            kind: althing_engine::RefusalKind::NotFound,
            cause: format!("nothing is exposed as \"{name}\""),
            hint: None,
        };
        let found = before > all.len();
        Box::pin(async move {
            let agent = samples::HOSTED.to_string();
            if found {
                Ok(Unexposed { schema: "althing.unexposed/v1".into(), agent, name })
            } else {
                Err(refusal)
            }
        })
    }

    fn exposed(&self) -> Vec<Exposed> {
        self.0.lock().unwrap().clone()
    }

    fn agent(&self, name: &str) -> Option<AgentId> {
        let all = self.0.lock().unwrap();
        all.iter().find(|exposed| exposed.name == name).and_then(|exposed| exposed.agent.parse().ok())
    }
}

pub(crate) fn calls() -> Calls {
    let network = Network::builtin().id();
    let node = NodeKey::from_seed(&[1; 32]).node();
    let (keep, _) = mpsc::channel(1);
    let now: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(|| samples::NOON);
    Calls {
        network,
        caller: Caller::new(Arc::new(Nowhere), network, node, now, &Limits::default(), keep),
        exposures: Exposures::default(),
        log: CallLog::default(),
        identity: None,
        desk: Arc::new(Desk::default()),
    }
}
