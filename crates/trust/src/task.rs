use std::fmt;
use std::str::FromStr;

use althing_record::IdError;
use althing_record::cbor::{Decode, DecodeError, Encode, Reader, Writer};

/// One call of a caller: 16 random bytes that the caller chose. Written in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub [u8; 16]);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl FromStr for TaskId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = hex::decode(text).map_err(|_| IdError::Form {
            expected: "16 bytes in hex",
            found: text.chars().take(80).collect(),
        })?;
        let found = bytes.len();
        bytes.try_into().map(Self).map_err(|_| IdError::Length { expected: 16, found })
    }
}

impl Encode for TaskId {
    fn encode(&self, to: &mut Writer) {
        self.0.encode(to);
    }
}

impl Decode for TaskId {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_read_back_and_refuse_other_texts() {
        let task = TaskId([0xa7; 16]);
        assert_eq!(task.to_string().parse(), Ok(task));
        assert_eq!("00".parse::<TaskId>(), Err(IdError::Length { expected: 16, found: 1 }));
        assert!("task-1".parse::<TaskId>().unwrap_err().to_string().contains("16 bytes in hex"));
    }
}
