use std::time::Duration;

use althing_gateway::{Client, ClientError};
use tokio::time::{Instant, sleep};

use super::failure::{Exit, Failure};
use super::page::{clean, note};
use super::session::Session;

/// How long to wait before the node is looked for again, at first and at most.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// A client for who waits: a node that goes away is looked for again, until the deadline.
pub(crate) struct Patience<'s> {
    session: &'s Session,
    /// None: the node was away when it was last looked for.
    client: Option<Client>,
    /// None: it does not wait for anybody.
    deadline: Option<Instant>,
}

impl<'s> Patience<'s> {
    /// Waits for a node of which the home shows that it was there before; where none ever was, it says so at once.
    pub(crate) fn new(session: &'s Session, deadline: Option<Instant>) -> Result<Self, Failure> {
        let has_run = session.home()?.join("api.token").exists();
        Ok(Self { session, client: None, deadline: deadline.filter(|_| has_run) })
    }

    /// A client that is connected.
    pub(crate) async fn client(&mut self) -> Result<Client, Failure> {
        self.ask(async |client| client.live().await.map(|_| client.clone())).await
    }

    /// Asks the node, as often as it takes until it answers. What is asked must only read.
    ///
    /// # Errors
    /// What the node refuses, or that it did not come back in time.
    pub(crate) async fn ask<T>(
        &mut self,
        question: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let (mut pause, mut away) = (PAUSE, None);
        loop {
            let failure = match self.once(&question).await {
                Ok(answer) => {
                    if away.is_some() {
                        note("the node is back");
                    }
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let may_come_back = matches!(failure.exit, Exit::Down | Exit::Timeout) || failure.is_busy();
            let Some(deadline) = self.deadline.filter(|_| may_come_back) else { return Err(failure) };
            let since = *away.get_or_insert_with(|| {
                note(&format!("{}; waiting for the node", clean(failure.cause())));
                Instant::now()
            });
            let now = Instant::now();
            if now >= deadline {
                let cause =
                    format!("{}; it has been away for {} s", failure.cause(), since.elapsed().as_secs());
                let hint = failure.next_step().unwrap_or("--timeout says how long to wait").to_owned();
                let exit = if failure.exit == Exit::Down { Exit::Down } else { Exit::Timeout };
                return Err(Failure::new(exit, cause).hint(hint));
            }
            sleep(pause.min(deadline - now)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Asks once, by a new client if the node was away: another process may have another token and address.
    async fn once<T>(
        &mut self,
        question: &impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            // However long the command waits, a node that hangs is not waited for so long.
            None => self.session.client().await?.with_timeout(self.session.timeout_or(REQUEST).min(REQUEST)),
        };
        let answer = question(&client).await.map_err(Failure::from)?;
        self.client = Some(client);
        Ok(answer)
    }
}
