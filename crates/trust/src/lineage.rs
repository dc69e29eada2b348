use althing_record::cbor::{self, Blob, DecodeError, Limits, List};
use althing_record::{AgentId, Kind, Network, Record, VerifyError, cbor_map};

/// Most bytes of a [`Lineage`], and most records in it: about ten rotations.
pub const LINEAGE_BYTES_MAX: usize = 4_096;
const RECORDS_MAX: usize = 16;

/// Most bytes of an identity record.
const RECORD_BYTES_MAX: usize = 1_024;

/// How a key came to speak for an agent: its identity records, from the inception on. Who signs a call or an Accept with
/// another key than the first shows them along with it, because the news of a rotation may come later than the call.
///
/// They prove nothing alone, as a rotation that is not shown would count too: whoever reads them folds them together with
/// those that it has itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage;

cbor_map! {
    /// The form of a [`Lineage`].
    struct LineageBytes: version 1 {
        /// The records in their carried form.
        1 => pub records: List<Blob<RECORD_BYTES_MAX>, RECORDS_MAX>,
    }
}

/// Why bytes are no lineage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// Too long, or not deterministic CBOR of the right shape.
    #[error("lineage is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the records is not valid.
    #[error("lineage holds an invalid record: {0}")]
    Record(#[from] VerifyError),
    /// One of the records is no identity record of the agent.
    #[error("lineage holds a {kind} of {agent}")]
    Stranger {
        /// Its kind.
        kind: &'static str,
        /// Whose it is.
        agent: AgentId,
    },
}

impl Lineage {
    /// The bytes to send; none if they are too many: then the others have to know the records.
    #[must_use]
    pub fn encode<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let records: Option<Vec<_>> =
            records.into_iter().map(|record| Blob::try_from(record.to_vec()).ok()).collect();
        let bytes = cbor::to_vec(&LineageBytes { records: records?.try_into().ok()? });
        (bytes.len() <= LINEAGE_BYTES_MAX).then_some(bytes)
    }

    /// Reads and verifies the records that are shown for an agent.
    ///
    /// # Errors
    /// When they are none.
    pub fn read(bytes: &[u8], agent: AgentId, network: &Network) -> Result<Vec<Record>, LineageError> {
        if bytes.len() > LINEAGE_BYTES_MAX {
            return Err(DecodeError::Invalid(format!("more than {LINEAGE_BYTES_MAX} bytes")).into());
        }
        let shown: LineageBytes = cbor::from_slice(bytes, Limits::RECORD)?;
        let records = shown.records.iter().map(|record| {
            let record = Record::verify(record, network)?;
            if record.agent() == agent && matches!(record.kind(), Kind::Inception | Kind::Rotation) {
                Ok(record)
            } else {
                Err(LineageError::Stranger { kind: record.kind().name(), agent: record.agent() })
            }
        });
        records.collect()
    }
}

#[cfg(test)]
mod tests {
    use althing_record::KeyHistory;
    use althing_testkit::{agent, identity, network, rotation, sign};
    use proptest::prelude::*;

    use super::*;

    fn chain(rotations: u8) -> Vec<Record> {
        let recovery = agent(99);
        let mut records = vec![sign(identity(&agent(1), &recovery), &agent(1))];
        for number in 0..rotations {
            let last = records.last().unwrap();
            let next = rotation(last, Some(last.id()), &agent(2 + number));
            records.push(sign(next, &recovery));
        }
        records
    }

    fn bytes(records: &[Record]) -> Option<Vec<u8>> {
        Lineage::encode(records.iter().map(Record::bytes))
    }

    #[test]
    fn a_lineage_reads_back_and_says_who_speaks() {
        let records = chain(3);
        let read = Lineage::read(&bytes(&records).unwrap(), agent(1).agent(), &network()).unwrap();
        assert_eq!(read.len(), 4);
        assert_eq!(KeyHistory::fold(agent(1).agent(), &read).current_key(), agent(4).public());
    }

    #[test]
    fn a_lineage_of_another_agent_or_of_other_records_is_none() {
        let records = bytes(&chain(1)).unwrap();
        let stranger = Lineage::read(&records, agent(7).agent(), &network());
        assert!(matches!(stranger, Err(LineageError::Stranger { kind: "Inception", .. })), "{stranger:?}");
        let card =
            sign(althing_testkit::slot(&agent(1), Kind::Card, "", althing_testkit::body(1)), &agent(1));
        let other = Lineage::read(&bytes(&[card]).unwrap(), agent(1).agent(), &network());
        assert!(matches!(other, Err(LineageError::Stranger { kind: "Card", .. })), "{other:?}");
    }

    #[test]
    fn a_long_lineage_is_not_sent_and_not_read() {
        assert!(bytes(&chain(8)).is_some());
        assert_eq!(bytes(&chain(12)), None);
        let long = vec![0; LINEAGE_BYTES_MAX + 1];
        assert!(matches!(
            Lineage::read(&long, agent(1).agent(), &network()),
            Err(LineageError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn changed_bytes_never_give_other_records(at in 0..1_000_usize, with in 1..=u8::MAX) {
            let records = chain(1);
            let mut bytes = bytes(&records).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= with;
            if let Ok(read) = Lineage::read(&bytes, agent(1).agent(), &network()) {
                let ids = |records: &[Record]| records.iter().map(Record::id).collect::<Vec<_>>();
                prop_assert_eq!(ids(&read), ids(&records));
            }
        }
    }
}
