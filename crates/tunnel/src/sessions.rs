use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use althing_record::NodeId;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::dial::{BoxIo, Dial, DialError, Line, Place};
use crate::mux::Client;
use crate::roots::Roots;

/// Most nodes that there are sessions with at once.
const SESSIONS_MAX: usize = 1_024;

type Beginning = Shared<BoxFuture<'static, Result<Client, DialError>>>;

/// The sessions with other nodes: one each, begun by the first call.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    dial: Arc<dyn Dial>,
    by_node: Arc<Mutex<BTreeMap<NodeId, Beginning>>>,
}

impl Sessions {
    pub(crate) fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, by_node: Arc::default() }
    }

    /// Opens one call to a node. Gives the batches of that node that were verified, too.
    ///
    /// # Errors
    /// When the node cannot be reached, or takes no more. Nothing was sent then.
    pub(crate) async fn open(&self, place: Place) -> Result<(BoxIo, Arc<Roots>), DialError> {
        let node = place.node;
        // A session may have ended unnoticed; a new one is tried once.
        for _ in 0..2 {
            let session = match self.session(&place)?.await {
                Ok(session) => session,
                Err(DialError::Unsupported { .. }) => {
                    self.forget(node);
                    let io = self.dial.dial(place, Line::Call).await?;
                    return Ok((io, Arc::default()));
                }
                Err(error) => {
                    self.forget(node);
                    return Err(error);
                }
            };
            match session.open().await {
                Ok(call) => return Ok((Box::new(call), Arc::clone(session.roots()))),
                Err(closed) => {
                    tracing::debug!(%node, %closed, "a session is begun again");
                    self.forget(node);
                }
            }
        }
        Err(DialError::Unreachable { node, cause: "its session ends as soon as it is begun".to_owned() })
    }

    fn session(&self, place: &Place) -> Result<Beginning, DialError> {
        let mut sessions = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = |begun: &Beginning| match begun.peek() {
            Some(Ok(session)) => session.has_ended(),
            Some(Err(_)) => true,
            None => false,
        };
        if let Some(begun) = sessions.get(&place.node).filter(|begun| !has_ended(begun)) {
            return Ok(begun.clone());
        }
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, begun| !has_ended(begun));
            if sessions.len() >= SESSIONS_MAX {
                let cause = format!("this node has sessions with {SESSIONS_MAX} nodes");
                return Err(DialError::Busy { node: place.node, cause });
            }
        }
        let (dial, to) = (Arc::clone(&self.dial), place.clone());
        let begin = async move {
            let node = to.node;
            let stream = dial.dial(to, Line::Calls).await?;
            let begun = Client::begin(stream).await;
            begun.map_err(|error| DialError::Unreachable { node, cause: error.to_string() })
        };
        let begin = begin.boxed().shared();
        sessions.insert(place.node, begin.clone());
        Ok(begin)
    }

    /// Forgets a session that has ended or was not begun.
    fn forget(&self, node: NodeId) {
        let mut sessions = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.get(&node).is_some_and(|begun| match begun.peek() {
            Some(Ok(session)) => session.has_ended(),
            Some(Err(_)) => true,
            None => false,
        }) {
            sessions.remove(&node);
        }
    }
}
