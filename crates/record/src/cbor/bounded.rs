use std::fmt;
use std::ops::Deref;

use super::{Decode, DecodeError, Encode, Reader, Writer};

/// A value is longer than its type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} is more than {max}")]
pub struct TooLong {
    /// How long it is: bytes of a text or blob, items of a list.
    pub len: usize,
    /// How long it may be.
    pub max: usize,
}

fn fit(what: &'static str, len: usize, max: usize) -> Result<(), DecodeError> {
    if len <= max {
        return Ok(());
    }
    Err(DecodeError::OutOfBounds { what, value: len as u64, expected: format!("at most {max}") })
}

/// UTF-8 text of at most `MAX` bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

/// At most `MAX` bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob<const MAX: usize>(Vec<u8>);

/// At most `MAX` items.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

macro_rules! bounded {
    ($name:ident, [$($param:tt)*], [$($arg:tt)*], $inner:ty, $target:ty) => {
        impl<$($param)*> $name<$($arg)*> {
            /// The value without its bound.
            #[must_use]
            pub fn into_inner(self) -> $inner {
                self.0
            }
        }

        impl<$($param)*> Deref for $name<$($arg)*> {
            type Target = $target;

            fn deref(&self) -> &$target {
                &self.0
            }
        }

        impl<$($param)*> TryFrom<$inner> for $name<$($arg)*> {
            type Error = TooLong;

            fn try_from(value: $inner) -> Result<Self, TooLong> {
                if value.len() > MAX { Err(TooLong { len: value.len(), max: MAX }) } else { Ok(Self(value)) }
            }
        }
    };
}

bounded!(Text, [const MAX: usize], [MAX], String, str);
bounded!(Blob, [const MAX: usize], [MAX], Vec<u8>, [u8]);
bounded!(List, [T, const MAX: usize], [T, MAX], Vec<T>, [T]);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<const MAX: usize> TryFrom<&str> for Text<MAX> {
    type Error = TooLong;

    fn try_from(value: &str) -> Result<Self, TooLong> {
        Self::try_from(value.to_owned())
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> Encode for Text<MAX> {
    fn encode(&self, to: &mut Writer) {
        to.text(&self.0);
    }
}

impl<const MAX: usize> Decode for Text<MAX> {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = from.text()?;
        fit("text length", text.len(), MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
}

impl<const MAX: usize> Decode for Blob<MAX> {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?;
        fit("byte string length", bytes.len(), MAX)?;
        Ok(Self(bytes.to_vec()))
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode(&self, to: &mut Writer) {
        to.array(self.0.len());
        for item in &self.0 {
            item.encode(to);
        }
    }
}

impl<T: Decode, const MAX: usize> Decode for List<T, MAX> {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        fit("list length", len, MAX)?;
        (0..len).map(|_| T::decode(from)).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, to: &mut Writer) {
        if let Some(value) = self {
            value.encode(to);
        }
    }

    fn is_present(&self) -> bool {
        self.is_some()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(from).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! unsigned {
    ($($int:ty),*) => {$(
        impl Encode for $int {
            fn encode(&self, to: &mut Writer) {
                to.uint(u64::from(*self));
            }
        }

        impl Decode for $int {
            fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let value = from.uint()?;
                Self::try_from(value).map_err(|_| DecodeError::OutOfBounds {
                    what: "integer",
                    value,
                    expected: format!("at most {}", Self::MAX),
                })
            }
        }
    )*};
}
unsigned!(u8, u16, u32, u64);

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, to: &mut Writer) {
        to.bytes(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?;
        bytes.try_into().map_err(|_| DecodeError::OutOfBounds {
            what: "byte string length",
            value: bytes.len() as u64,
            expected: N.to_string(),
        })
    }
}

macro_rules! newtype {
    ($($name:ident),*) => {$(
        impl Encode for crate::$name {
            fn encode(&self, to: &mut Writer) {
                self.0.encode(to);
            }
        }

        impl Decode for crate::$name {
            fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Decode::decode(from).map(Self)
            }
        }
    )*};
}
newtype!(RecordId, NetworkId, GroupId, Incarnation, Digest, AgentId, NodeId, Millis);
