/// Declares a struct whose encoding is a map with small integer keys, in ascending order.
///
/// With `version N` the map's entry 0 is the body's version: another version decodes to
/// [`DecodeError::Newer`](crate::cbor::DecodeError::Newer). `Option` fields may be absent; all others must be there.
#[macro_export]
macro_rules! cbor_map {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident $(: version $version:literal)? {
            $($(#[$field_doc:meta])* $key:literal => pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $crate::cbor::Encode for $name {
            fn encode(&self, to: &mut $crate::cbor::Writer) {
                let versions: &[u64] = &[$($version)?];
                let present = [$($crate::cbor::Encode::is_present(&self.$field)),*];
                to.map(versions.len() + present.iter().filter(|present| **present).count());
                for version in versions {
                    to.entry(0, version);
                }
                $(to.entry($key, &self.$field);)*
            }
        }

        impl $crate::cbor::Decode for $name {
            fn decode(from: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                let mut entries = from.entries(stringify!($name))?;
                let versions: &[u64] = &[$($version)?];
                for version in versions {
                    let found: u64 = entries.take(0, "version")?;
                    if found != *version {
                        let of = stringify!($name);
                        return Err($crate::cbor::DecodeError::Newer { of, what: "version", value: found });
                    }
                }
                let value = Self { $($field: entries.take($key, stringify!($field))?,)* };
                entries.end()?;
                Ok(value)
            }
        }
    };
}
