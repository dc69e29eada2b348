//! Ballots of this node's agents on sealed proposals.

use althing_ballot::{BallotSeed, Choice, Occasion, Proposal, Sealed, TrusteeKeys, keys_of};
use althing_record::{AgentId, RecordId};
use althing_store::{ReadError, Snapshot};

use super::SIGNED_MAX;
use crate::engine::Engine;
use crate::{AskNo, HostedAgent, Now, RefusalKind, Said};

/// How long a ballot waits for the keys of all trustees, in milliseconds.
const KEYS_WAIT_MS: u64 = 5_000;

/// How old a proposal is when a ballot does not wait for more keys than it needs, in milliseconds.
const KEYS_LATE_MS: u64 = 10_000;

/// Most ballots that wait for keys; further ones are refused.
const CASTS_MAX: usize = 256;

/// A ballot that waits for trustees' keys.
pub(super) struct WaitingCast {
    no: AskNo,
    agent: AgentId,
    pub(super) proposal: RecordId,
    said: Said,
    /// Until when, on the clock of [`Now::ticks`].
    pub(super) until: u64,
}

impl<S: Snapshot> Engine<S> {
    /// Seals what an agent of this node says. `None`: it waits for keys, or was refused. `until`: how long it waits at
    /// most, if it waited before.
    pub(crate) fn seal(
        &mut self,
        no: AskNo,
        hosted: &HostedAgent,
        (proposal, choice, said): (&Proposal, &Choice, &Said),
        until: Option<u64>,
        now: Now,
    ) -> Result<Option<Choice>, ReadError> {
        let Some(sealing) = proposal.sealing() else { return Ok(Some(choice.clone())) };
        let (mut keys, mut missing) = (TrusteeKeys::new(), Vec::new());
        let mut doubtful = Vec::new();
        for (place, trustee) in (0..).zip(sealing.trustees()) {
            match self.trustee_key(proposal.id, *trustee)? {
                Some(key) => {
                    keys.insert(place, key);
                    if keys_of(&self.store, proposal.id, *trustee, 2)?.len() > 1 {
                        doubtful.push(place);
                    }
                }
                None => missing.push(*trustee),
            }
        }
        // Others may not have the same of the keys of a trustee that published several, and nobody is needed.
        while keys.len() > sealing.keys_needed()
            && let Some(place) = doubtful.pop()
        {
            keys.remove(&place);
        }
        let is_enough = keys.len() >= sealing.keys_needed();
        let is_late = is_enough && now.wall >= proposal.made.plus(KEYS_LATE_MS);
        let until = until.unwrap_or(now.ticks + KEYS_WAIT_MS);
        if !missing.is_empty() && !is_late && now.ticks < until {
            if self.sealed.casts.len() >= CASTS_MAX {
                let cause = format!("{CASTS_MAX} ballots wait for trustees' keys already");
                self.refuse(no, RefusalKind::Busy, cause, Some("try again in a few seconds"));
                return Ok(None);
            }
            let (agent, proposal, said) = (hosted.agent, proposal.id, said.clone());
            self.sealed.casts.push(WaitingCast { no, agent, proposal, said, until });
            self.ask_around(now);
            self.pump_sync(now)?;
            return Ok(None);
        }
        if !is_enough {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let cause = format!(
                "a ballot is sealed for {} of {} trustees, and {} have published their keys; missing: {}",
                sealing.keys_needed(),
                sealing.trustees().len(),
                keys.len(),
                missing.join(", ")
            );
            let hint =
                "a trustee's node publishes its key when it sees the proposal; try again when it is up";
            self.refuse(no, RefusalKind::NotReady, cause, Some(hint));
            return Ok(None);
        }
        match self.sealed_for(hosted, proposal, &keys, choice) {
            Ok(sealed) => Ok(Some(sealed)),
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                Ok(None)
            }
        }
    }

    fn sealed_for(
        &self,
        hosted: &HostedAgent,
        proposal: &Proposal,
        keys: &TrusteeKeys,
        choice: &Choice,
    ) -> Result<Choice, althing_ballot::BallotError> {
        let occasion = Occasion { network: self.network.id(), proposal, voter: hosted.agent };
        let seed = BallotSeed::of(&hosted.key, &occasion, keys, choice)?;
        Sealed::seal(&occasion, keys, choice, &seed).map(Choice::Sealed)
    }

    /// Whether an earlier ballot of an agent of this node says this: if it is sealed, whether sealing this for the same
    /// keys gives the same.
    pub(crate) fn says(
        &self,
        hosted: &HostedAgent,
        proposal: &Proposal,
        earlier: &Choice,
        choice: &Choice,
    ) -> bool {
        let Choice::Sealed(sealed) = earlier else { return earlier == choice };
        let keys: TrusteeKeys = sealed.shares().map(|share| (share.place, share.key)).collect();
        self.sealed_for(hosted, proposal, &keys, choice).is_ok_and(|again| again == *earlier)
    }

    /// Casts ballots that waited, if keys came or their time is over; not more at once than fit into the vote guard beside
    /// what else is signed.
    pub(super) fn retry_casts(&mut self, now: Now) -> Result<(), ReadError> {
        let news = std::mem::take(&mut self.sealed.news);
        let is_due = |cast: &WaitingCast| cast.until <= now.ticks || news.contains(&cast.proposal);
        let (due, waiting): (Vec<_>, _) =
            std::mem::take(&mut self.sealed.casts).into_iter().partition(is_due);
        self.sealed.casts = waiting;
        let mut due = due.into_iter();
        while self.signed.len() < SIGNED_MAX {
            let Some(WaitingCast { no, agent, proposal, said, until }) = due.next() else { return Ok(()) };
            self.cast(no, (agent, proposal, &said), Some(until), now)?;
        }
        self.sealed.news.extend(due.as_slice().iter().map(|cast| cast.proposal));
        self.sealed.casts.extend(due);
        Ok(())
    }
}
