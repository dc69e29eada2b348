use super::*;

const V1: &str = r#"{"name":"Babel","description":"Translates","version":"1.0.0",
 "supportedInterfaces":[
  {"url":"http://localhost:9999/rpc","protocolBinding":"JSONRPC","protocolVersion":"1.0","tenant":"t"},
  {"url":"grpc.example.com:443","protocolBinding":"GRPC","protocolVersion":"1.0"},
  {"url":"http://localhost:9999/rest","protocolBinding":"http+json","protocolVersion":"0.3"},
  {"url":"wss://x","protocolBinding":"https://example.com/ws","protocolVersion":"1.0"}],
 "capabilities":{"streaming":true},"provider":null,
 "skills":[{"id":"text/translate"},{"id":"b","name":"B","tags":[]}],"extra":{"kept":1}}"#;

fn parse(text: &str) -> OriginCard {
    OriginCard::parse(text.as_bytes()).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    OriginCard::parse(text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_card_of_1_0_is_read_and_its_bytes_are_kept() {
    let card = parse(V1);
    assert_eq!((card.bytes(), card.form(), card.name()), (V1.as_bytes(), Form::V1, "Babel"));
    assert_eq!(card.skills(), ["text/translate", "b"]);
    assert!(card.streams() && !card.is_signed());
    assert_eq!(card.protocols(), [Protocol::V1, Protocol::V0]);
    let bindings: Vec<_> = card.interfaces().iter().map(|interface| interface.binding.name()).collect();
    assert_eq!(bindings, ["JSONRPC", "GRPC", "HTTP+JSON", "https://example.com/ws"]);
    let rpc = card.interface(&Binding::JsonRpc, Protocol::V1).unwrap();
    assert_eq!((rpc.url.as_str(), rpc.tenant.as_deref()), ("http://localhost:9999/rpc", Some("t")));
    assert_eq!(card.interface(&Binding::JsonRpc, Protocol::V0), None);
    assert!(card.interface(&Binding::HttpJson, Protocol::V0).is_some());
    assert_eq!(card.interface(&Binding::Grpc, Protocol::V1), None, "the tunnel does not carry it");
    assert_eq!(card.digest().0, <[u8; 32]>::from(Sha256::digest(V1)));
}

#[test]
fn cards_of_0_3_and_before_are_read() {
    let card = parse(
        r#"{"name":"Old","url":"http://localhost:9999/?a=b","protocolVersion":"0.3.0","preferredTransport":"GRPC",
        "additionalInterfaces":[{"url":"http://localhost:9999/","transport":"JSONRPC"}],"skills":[]}"#,
    );
    assert_eq!((card.form(), card.protocols()), (Form::V0, vec![Protocol::V0]));
    assert_eq!(card.interfaces().len(), 2);
    assert_eq!(card.interface(&Binding::JsonRpc, Protocol::V0).unwrap().url, "http://localhost:9999/");
    // Before 0.2 there was neither a version nor a transport.
    let card = parse(r#"{"name":"Older","url":"http://localhost/a2a?assistant_id=x","capabilities":{}}"#);
    assert_eq!(card.interfaces()[0].binding, Binding::JsonRpc);
    assert_eq!((card.interfaces()[0].version.as_str(), card.streams()), ("0.3", false));
}

#[test]
fn a_card_in_both_forms_is_a_card_of_1_0() {
    let card = parse(
        r#"{"name":"Both","url":"http://a/","protocolVersion":"0.3.0","supportedInterfaces":
        [{"url":"http://a/","protocolBinding":"JSONRPC","protocolVersion":"1.0"},
         {"url":"http://a/","protocolBinding":"JSONRPC","protocolVersion":"0.3.0"}]}"#,
    );
    assert_eq!((card.form(), card.protocols()), (Form::V1, vec![Protocol::V1, Protocol::V0]));
}

#[test]
fn every_fault_is_named_with_its_path() {
    let text = r#"{"name":" ","skills":[{"id":""},{},7,{"id":5,"tags":["a",1]}],"capabilities":{"streaming":"yes"},
        "version":1,"supportedInterfaces":[{"url":"/a2a","protocolBinding":"JSONRPC"},{"protocolBinding":""},
        {"url":"ftp://x/","protocolBinding":"HTTP+JSON"},{"url":["x"],"protocolBinding":"GRPC"}]}"#;
    assert_eq!(
        faults(text),
        [
            "supportedInterfaces[3].url is a list, expected a string",
            "version is a number, expected a string",
            "capabilities.streaming is a string, expected a boolean",
            "skills[2] is a number, expected an object",
            "skills[3].id is a number, expected a string",
            "skills[3].tags[1] is a number, expected a string",
            "name is empty",
            "skills[0].id is empty",
            "skills[1].id is missing",
            "supportedInterfaces[0].url is not an http or https URL: \"/a2a\"",
            "supportedInterfaces[1].protocolBinding is empty",
            "supportedInterfaces[1].url is missing",
            "supportedInterfaces[2].url is not an http or https URL: \"ftp://x/\"",
        ]
    );
    assert_eq!(faults("{}"), ["name is missing", "url is missing"]);
    assert_eq!(faults("[]"), ["the document is a list, expected an object"]);
    assert_eq!(
        faults(r#"{"name":"x","url":"http://a","skills":{}}"#),
        ["skills is an object, expected a list"]
    );
    let grpc = r#"{"name":"x","supportedInterfaces":[{"url":"a:1","protocolBinding":"GRPC"}]}"#;
    let none = "supportedInterfaces names no interface that is JSONRPC or HTTP+JSON, of A2A 1.0 or 0.x";
    assert_eq!(faults(grpc), [none]);
    assert_eq!(faults(r#"{"name":"x","supportedInterfaces":[]}"#), [none]);
    let newer = r#"{"name":"x","supportedInterfaces":[{"url":"http://a","protocolBinding":"JSONRPC","protocolVersion":"2.0"}]}"#;
    assert_eq!(faults(newer), [none]);
    assert_eq!(faults(r#"{"name":"x","name":"y"}"#).len(), 1);
}

#[test]
fn bounds_are_reached_by_name() {
    let padded = |len: usize| {
        let head = r#"{"name":"x","url":"http://a","pad":""#;
        format!("{head}{}\"}}", "x".repeat(len - head.len() - 2))
    };
    assert!(OriginCard::parse(padded(CARD_BYTES_MAX).as_bytes()).is_ok());
    assert_eq!(
        faults(&padded(CARD_BYTES_MAX + 1)),
        ["the document has 15361 bytes, at most 15360 are allowed"]
    );
    let skills = vec![r#"{"id":"a"}"#; ENTRIES_MAX + 1].join(",");
    let many = format!(r#"{{"name":"x","url":"http://a","skills":[{skills}]}}"#);
    assert_eq!(faults(&many), ["skills has 65 entries, at most 64 are allowed"]);
    let wrong = vec!["1"; 200].join(",");
    let listed = faults(&format!(r#"{{"name":"x","url":"http://a","defaultInputModes":[{wrong}]}}"#));
    assert_eq!(listed.len(), crate::FAULTS_MAX);
}
