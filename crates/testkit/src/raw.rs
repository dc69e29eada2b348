use althing_record::cbor::{Encode, Reader, Writer, to_vec};
use althing_record::{AgentKey, EXTERNAL_AAD, Record, SIGNATURE_LEN};

/// The parts of a record in its carried form, unchecked: what a hostile author can put together.
///
/// Written against the specification and not with the record crate's envelope code, so that the two check each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// What stands in the protected header's byte string.
    pub protected: Vec<u8>,
    /// What stands in the payload's byte string.
    pub payload: Vec<u8>,
    /// What stands in the signature's byte string.
    pub signature: Vec<u8>,
    /// What follows the envelope.
    pub companion: Vec<u8>,
}

impl Raw {
    /// Parts that nobody signed: the signature is 64 zero bytes.
    #[must_use]
    pub fn new(protected: &impl Encode, payload: Vec<u8>) -> Self {
        Self {
            protected: to_vec(protected),
            payload,
            signature: vec![0; SIGNATURE_LEN],
            companion: Vec::new(),
        }
    }

    /// A record taken apart.
    ///
    /// # Panics
    /// Never: a record has these parts.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let mut reader = Reader::new(record.bytes());
        let mut part = |skip: fn(&mut Reader<'_>)| {
            skip(&mut reader);
            reader.bytes().expect("a record's part").to_vec()
        };
        let protected = part(|reader| reader.array_of(4).expect("four parts"));
        let payload = part(|reader| assert_eq!(reader.map(), Ok(0)));
        let signature = part(|_| {});
        let companion = record.bytes()[reader.position()..].to_vec();
        Self { protected, payload, signature, companion }
    }

    /// What a signature covers: the Sig_structure of RFC 9052, section 4.4.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.array(4);
        to.text("Signature1");
        to.bytes(&self.protected);
        to.bytes(EXTERNAL_AAD);
        to.bytes(&self.payload);
        to.into_bytes()
    }

    /// The same parts with a signature that fits them.
    #[must_use]
    pub fn signed_by(self, key: &AgentKey) -> Self {
        Self { signature: key.sign(&self.message()).to_vec(), ..self }
    }

    /// The carried form.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.array(4);
        to.bytes(&self.protected);
        to.map(0);
        to.bytes(&self.payload);
        to.bytes(&self.signature);
        to.raw(&self.companion);
        to.into_bytes()
    }
}
