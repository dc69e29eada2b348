use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Longest value of an attribute that is compared, in bytes: of a longer one in a card the beginning counts.
pub const VALUE_BYTES_MAX: usize = 128;

/// Most values of one attribute of one card that count.
pub const VALUES_MAX: usize = 64;

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident $code:literal $text:literal,)*) => {
        /// Something that an A2A card says and queries can filter by. Nothing is looked up by it in the network.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Attribute {
            $($(#[$doc])* $name = $code,)*
        }

        impl Attribute {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// How queries call it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

attributes! {
    /// `name`.
    Name 1 "name",
    /// `version`.
    Version 2 "version",
    /// `provider.organization`.
    Provider 3 "provider",
    /// `defaultInputModes`, and `inputModes` of the skills.
    Input 4 "input",
    /// `defaultOutputModes`, and `outputModes` of the skills.
    Output 5 "output",
    /// `capabilities.streaming`: `true`, or else `false`.
    Streaming 6 "streaming",
    /// `capabilities.pushNotifications`: `true`, or else `false`.
    Push 7 "push",
    /// A2A 1.0: `protocolBinding` of the `supportedInterfaces`. A2A 0.3: `preferredTransport`, and `transport` of the
    /// `additionalInterfaces`.
    Transport 8 "transport",
    /// A2A 1.0: `protocolVersion` of the `supportedInterfaces`. A2A 0.3: `protocolVersion`.
    Protocol 9 "protocol",
    /// `uri` of the `capabilities.extensions`.
    Extension 10 "extension",
}

impl Attribute {
    /// The attribute of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|attribute| attribute.name().eq_ignore_ascii_case(name))
    }

    /// Whether its values are `true` and `false`.
    #[must_use]
    pub fn is_flag(self) -> bool {
        matches!(self, Self::Streaming | Self::Push)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value as it is compared: in lower case, without white space around it and without control characters.
pub(crate) fn plain(value: &str) -> String {
    let spaced = value.chars().map(|char| if char.is_control() { ' ' } else { char });
    // One character at a time, so that what a value begins with stays its beginning.
    spaced.collect::<String>().trim().chars().flat_map(char::to_lowercase).collect()
}

/// The attributes of an A2A card. What is missing or of another type than A2A gives it is left out.
pub(crate) fn attributes(card: &Value) -> BTreeSet<(Attribute, String)> {
    let mut found = BTreeSet::new();
    for attribute in Attribute::ALL {
        let values = values(*attribute, card);
        let plain = values.into_iter().map(|value| cut(plain(value))).filter(|value| !value.is_empty());
        let distinct: BTreeSet<String> = plain.collect();
        found.extend(distinct.into_iter().take(VALUES_MAX).map(|value| (*attribute, value)));
    }
    found
}

fn values(attribute: Attribute, card: &Value) -> Vec<&str> {
    let flag = |name: &str| {
        let set = card.pointer(name).and_then(Value::as_bool) == Some(true);
        vec![if set { "true" } else { "false" }]
    };
    match attribute {
        Attribute::Name => texts(card, &["name"]),
        Attribute::Version => texts(card, &["version"]),
        Attribute::Provider => texts(card, &["provider", "organization"]),
        Attribute::Input => {
            [texts(card, &["defaultInputModes"]), texts(card, &["skills", "inputModes"])].concat()
        }
        Attribute::Output => {
            [texts(card, &["defaultOutputModes"]), texts(card, &["skills", "outputModes"])].concat()
        }
        Attribute::Streaming => flag("/capabilities/streaming"),
        Attribute::Push => flag("/capabilities/pushNotifications"),
        Attribute::Transport => [
            texts(card, &["supportedInterfaces", "protocolBinding"]),
            texts(card, &["preferredTransport"]),
            texts(card, &["additionalInterfaces", "transport"]),
        ]
        .concat(),
        Attribute::Protocol => {
            [texts(card, &["supportedInterfaces", "protocolVersion"]), texts(card, &["protocolVersion"])]
                .concat()
        }
        Attribute::Extension => texts(card, &["capabilities", "extensions", "uri"]),
    }
}

/// The texts at a path of names; of a list all of its members.
fn texts<'v>(value: &'v Value, path: &[&str]) -> Vec<&'v str> {
    if let Value::Array(members) = value {
        return members.iter().flat_map(|member| texts(member, path)).collect();
    }
    match path {
        [] => value.as_str().into_iter().collect(),
        [name, rest @ ..] => value.get(name).map(|value| texts(value, rest)).unwrap_or_default(),
    }
}

fn cut(mut value: String) -> String {
    let fits = (0..=VALUE_BYTES_MAX.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
    value.truncate(fits.unwrap_or(0));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str, attribute: Attribute) -> Vec<String> {
        let found = attributes(&serde_json::from_str(json).unwrap());
        found.into_iter().filter(|(found, _)| *found == attribute).map(|(_, value)| value).collect()
    }

    #[test]
    fn both_versions_of_a2a_give_their_attributes() {
        let new = r#"{
            "name": " Babel\u0000 ", "version": "1.2.0", "provider": {"organization": "ACME"},
            "supportedInterfaces": [
                {"url": "https://a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
                {"url": "https://b", "protocolBinding": "GRPC", "protocolVersion": "0.3"}
            ],
            "capabilities": {"streaming": true, "extensions": [{"uri": "https://x/1"}]},
            "defaultInputModes": ["text/plain"],
            "skills": [{"id": "a", "inputModes": ["Audio/WAV"], "outputModes": ["text/plain"]}]
        }"#;
        assert_eq!(of(new, Attribute::Name), ["babel"]);
        assert_eq!(of(new, Attribute::Version), ["1.2.0"]);
        assert_eq!(of(new, Attribute::Provider), ["acme"]);
        assert_eq!(of(new, Attribute::Input), ["audio/wav", "text/plain"]);
        assert_eq!(of(new, Attribute::Output), ["text/plain"]);
        assert_eq!(of(new, Attribute::Streaming), ["true"]);
        assert_eq!(of(new, Attribute::Push), ["false"]);
        assert_eq!(of(new, Attribute::Transport), ["grpc", "jsonrpc"]);
        assert_eq!(of(new, Attribute::Protocol), ["0.3", "1.0"]);
        assert_eq!(of(new, Attribute::Extension), ["https://x/1"]);
        let old = r#"{
            "name": "x", "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC",
            "additionalInterfaces": [{"url": "https://a", "transport": "HTTP+JSON"}],
            "capabilities": {"pushNotifications": true}
        }"#;
        assert_eq!(of(old, Attribute::Transport), ["http+json", "jsonrpc"]);
        assert_eq!(of(old, Attribute::Protocol), ["0.3.0"]);
        assert_eq!(of(old, Attribute::Push), ["true"]);
    }

    #[test]
    fn what_is_of_another_type_is_left_out_and_what_is_too_much_is_cut() {
        let odd = r#"{"name": "x", "version": 3, "provider": "ACME", "capabilities": {"streaming": "true"}}"#;
        assert_eq!(of(odd, Attribute::Version), [""; 0]);
        assert_eq!(of(odd, Attribute::Provider), [""; 0]);
        assert_eq!(of(odd, Attribute::Streaming), ["false"]);
        let long = format!(r#"{{"name": "x{}"}}"#, "é".repeat(100));
        assert_eq!(of(&long, Attribute::Name), [format!("x{}", "é".repeat(63))]);
        let modes: Vec<String> = (0..=VALUES_MAX).map(|n| format!("\"m{n}\"")).collect();
        let many = format!(r#"{{"name": "x", "defaultInputModes": [{}]}}"#, modes.join(","));
        assert_eq!(of(&many, Attribute::Input).len(), VALUES_MAX);
    }
}
