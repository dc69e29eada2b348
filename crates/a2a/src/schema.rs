use serde_json::Value;

use crate::Problem;
use crate::fault::Found;
use crate::json::{kind, member};

/// A message of `a2a.proto` (A2A 1.0), by the names that its JSON has.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) members: &'static [Member],
    /// Whether the members are alternatives, of which there is one.
    pub(crate) one_of: bool,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) presence: Presence,
}

/// How Protocol Buffers see that a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Marked REQUIRED.
    Required,
    /// Marked `optional`: set is another thing than default.
    Optional,
    /// Neither: a field at its default is a field that is not there.
    Implicit,
}

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Flag,
    Texts,
    TextMap,
    One(&'static Message),
    Many(&'static Message),
    Map(&'static Message),
    /// Any JSON object.
    Open,
    /// Any JSON.
    Any,
}

use Presence::{Implicit, Optional, Required};
use Shape::{Any, Flag, Many, Map, One, Open, Text, TextMap, Texts};

const fn member_of(name: &'static str, shape: Shape, presence: Presence) -> Member {
    Member { name, shape, presence }
}

const fn message(members: &'static [Member]) -> Message {
    Message { members, one_of: false }
}

/// AgentCard of A2A 1.0.
pub(crate) static AGENT_CARD: Message = message(&[
    member_of("name", Text, Required),
    member_of("description", Text, Required),
    member_of("supportedInterfaces", Many(&AGENT_INTERFACE), Required),
    member_of("provider", One(&AGENT_PROVIDER), Implicit),
    member_of("version", Text, Required),
    member_of("documentationUrl", Text, Optional),
    member_of("capabilities", One(&AGENT_CAPABILITIES), Required),
    member_of("securitySchemes", Map(&SECURITY_SCHEME), Implicit),
    member_of("securityRequirements", Many(&SECURITY_REQUIREMENT), Implicit),
    member_of("defaultInputModes", Texts, Required),
    member_of("defaultOutputModes", Texts, Required),
    member_of("skills", Many(&AGENT_SKILL), Required),
    member_of("iconUrl", Text, Optional),
]);

/// AgentCard of A2A 0.3 and before, as far as it is read.
pub(crate) static OLD_AGENT_CARD: Message = message(&[
    member_of("name", Text, Required),
    member_of("description", Text, Required),
    member_of("url", Text, Required),
    member_of("protocolVersion", Text, Implicit),
    member_of("preferredTransport", Text, Implicit),
    member_of("additionalInterfaces", Many(&OLD_AGENT_INTERFACE), Implicit),
    member_of("provider", One(&AGENT_PROVIDER), Implicit),
    member_of("version", Text, Required),
    member_of("documentationUrl", Text, Optional),
    member_of("capabilities", One(&AGENT_CAPABILITIES), Required),
    member_of("defaultInputModes", Texts, Required),
    member_of("defaultOutputModes", Texts, Required),
    member_of("skills", Many(&OLD_AGENT_SKILL), Required),
    member_of("iconUrl", Text, Optional),
]);

static OLD_AGENT_INTERFACE: Message =
    message(&[member_of("url", Text, Required), member_of("transport", Text, Required)]);

static OLD_AGENT_SKILL: Message = message(&[
    member_of("id", Text, Required),
    member_of("name", Text, Required),
    member_of("description", Text, Required),
    member_of("tags", Texts, Required),
    member_of("examples", Any, Implicit),
    member_of("inputModes", Texts, Implicit),
    member_of("outputModes", Texts, Implicit),
]);

static AGENT_INTERFACE: Message = message(&[
    member_of("url", Text, Required),
    member_of("protocolBinding", Text, Required),
    member_of("tenant", Text, Implicit),
    member_of("protocolVersion", Text, Required),
]);

static AGENT_PROVIDER: Message =
    message(&[member_of("url", Text, Required), member_of("organization", Text, Required)]);

static AGENT_CAPABILITIES: Message = message(&[
    member_of("streaming", Flag, Optional),
    member_of("pushNotifications", Flag, Optional),
    member_of("extensions", Many(&AGENT_EXTENSION), Implicit),
    member_of("extendedAgentCard", Flag, Optional),
]);

pub(crate) static AGENT_EXTENSION: Message = message(&[
    member_of("uri", Text, Implicit),
    member_of("description", Text, Implicit),
    member_of("required", Flag, Implicit),
    member_of("params", Open, Implicit),
]);

pub(crate) static AGENT_SKILL: Message = message(&[
    member_of("id", Text, Required),
    member_of("name", Text, Required),
    member_of("description", Text, Required),
    member_of("tags", Texts, Required),
    member_of("examples", Texts, Implicit),
    member_of("inputModes", Texts, Implicit),
    member_of("outputModes", Texts, Implicit),
    member_of("securityRequirements", Many(&SECURITY_REQUIREMENT), Implicit),
]);

static SECURITY_REQUIREMENT: Message = message(&[member_of("schemes", Map(&STRING_LIST), Implicit)]);

static STRING_LIST: Message = message(&[member_of("list", Texts, Implicit)]);

static SECURITY_SCHEME: Message = Message {
    members: &[
        member_of("apiKeySecurityScheme", One(&API_KEY), Optional),
        member_of("httpAuthSecurityScheme", One(&HTTP_AUTH), Optional),
        member_of("oauth2SecurityScheme", One(&OAUTH2), Optional),
        member_of("openIdConnectSecurityScheme", One(&OPEN_ID_CONNECT), Optional),
        member_of("mtlsSecurityScheme", One(&MUTUAL_TLS), Optional),
    ],
    one_of: true,
};

static API_KEY: Message = message(&[
    member_of("description", Text, Implicit),
    member_of("location", Text, Required),
    member_of("name", Text, Required),
]);

static HTTP_AUTH: Message = message(&[
    member_of("description", Text, Implicit),
    member_of("scheme", Text, Required),
    member_of("bearerFormat", Text, Implicit),
]);

static OAUTH2: Message = message(&[
    member_of("description", Text, Implicit),
    member_of("flows", One(&OAUTH_FLOWS), Required),
    member_of("oauth2MetadataUrl", Text, Implicit),
]);

static OPEN_ID_CONNECT: Message =
    message(&[member_of("description", Text, Implicit), member_of("openIdConnectUrl", Text, Required)]);

static MUTUAL_TLS: Message = message(&[member_of("description", Text, Implicit)]);

static OAUTH_FLOWS: Message = Message {
    members: &[
        member_of("authorizationCode", One(&AUTHORIZATION_CODE), Optional),
        member_of("clientCredentials", One(&CLIENT_CREDENTIALS), Optional),
        member_of("implicit", One(&IMPLICIT), Optional),
        member_of("password", One(&PASSWORD), Optional),
        member_of("deviceCode", One(&DEVICE_CODE), Optional),
    ],
    one_of: true,
};

static AUTHORIZATION_CODE: Message = message(&[
    member_of("authorizationUrl", Text, Required),
    member_of("tokenUrl", Text, Required),
    member_of("refreshUrl", Text, Implicit),
    member_of("scopes", TextMap, Required),
    member_of("pkceRequired", Flag, Implicit),
]);

static CLIENT_CREDENTIALS: Message = message(&[
    member_of("tokenUrl", Text, Required),
    member_of("refreshUrl", Text, Implicit),
    member_of("scopes", TextMap, Required),
]);

static IMPLICIT: Message = message(&[
    member_of("authorizationUrl", Text, Implicit),
    member_of("refreshUrl", Text, Implicit),
    member_of("scopes", TextMap, Implicit),
]);

static PASSWORD: Message = message(&[
    member_of("tokenUrl", Text, Implicit),
    member_of("refreshUrl", Text, Implicit),
    member_of("scopes", TextMap, Implicit),
]);

static DEVICE_CODE: Message = message(&[
    member_of("deviceAuthorizationUrl", Text, Required),
    member_of("tokenUrl", Text, Required),
    member_of("refreshUrl", Text, Implicit),
    member_of("scopes", TextMap, Required),
]);

/// Finds members of another type than the message gives them. What it does not have passes, and so does `null`, which
/// stands for a member that is not there.
pub(crate) fn check_types(value: &Value, of: &Message, path: &str, found: &mut Found) {
    let Some(members) = value.as_object() else {
        return found.add(path, Problem::Type { expected: "an object", found: kind(value) });
    };
    for known in of.members {
        if let Some(value) = members.get(known.name).filter(|value| !value.is_null()) {
            check_shape(value, &known.shape, &member(path, known.name), found);
        }
    }
}

fn check_shape(value: &Value, shape: &Shape, path: &str, found: &mut Found) {
    let wrong = |expected| Problem::Type { expected, found: kind(value) };
    match (shape, value) {
        (Text, Value::String(_)) | (Flag, Value::Bool(_)) | (Open, Value::Object(_)) | (Any, _) => {}
        (Texts, Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                check_shape(value, &Text, &format!("{path}[{index}]"), found);
            }
        }
        (TextMap, Value::Object(values)) => {
            for (name, value) in values {
                check_shape(value, &Text, &member(path, name), found);
            }
        }
        (One(of), _) => check_types(value, of, path, found),
        (Many(of), Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                check_types(value, of, &format!("{path}[{index}]"), found);
            }
        }
        (Map(of), Value::Object(values)) => {
            for (name, value) in values {
                check_types(value, of, &member(path, name), found);
            }
        }
        (Text, _) => found.add(path, wrong("a string")),
        (Flag, _) => found.add(path, wrong("a boolean")),
        (Texts | Many(_), _) => found.add(path, wrong("a list")),
        (TextMap | Map(_) | Open, _) => found.add(path, wrong("an object")),
    }
}
