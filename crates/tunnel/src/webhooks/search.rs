use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::operation::Operation;

/// Most URLs of one request.
const URLS_MAX: usize = 16;

/// What names of push notifications have in common, in every version of A2A.
const PUSH: &str = "pushnotification";

/// Why nobody can tell where a request has notifications sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unclear {
    #[error("the request is a list; A2A has no batches")]
    Batch,
    #[error("the request may set a push notification and is not JSON: {0}")]
    NotJson(String),
    #[error("the request has more than {URLS_MAX} URLs for push notifications")]
    TooMany,
}

/// The URLs to which a request would have notifications sent. Every occurrence of a name counts, in every spelling that some
/// reader of JSON takes for it; what is content of a message does not.
pub(super) fn urls_in(operation: Operation, body: &[u8]) -> Result<Vec<String>, Unclear> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if operation == Operation::Rpc && text.trim_ascii_start().first() == Some(&b'[') {
        return Err(Unclear::Batch);
    }
    let sets_push = operation == Operation::Push;
    if text.trim_ascii().is_empty() || !sets_push && !may_say_push(body) {
        return Ok(Vec::new());
    }
    let mut found = Found { is_push: sets_push, ..Found::default() };
    let top =
        Look { level: Level::Top, name: Name::Other, is_named: false, is_content: false, found: &mut found };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = top.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| Unclear::NotJson(error.to_string()))?;
    let urls = if found.is_push { found.all } else { found.named };
    if urls.len() > URLS_MAX { Err(Unclear::TooMany) } else { Ok(urls) }
}

/// Whether a reader of JSON, however lenient, could find "push" in this. What needs escapes or zeros for that is looked at
/// more closely; no program writes letters so.
fn may_say_push(body: &[u8]) -> bool {
    body.windows(4).any(|window| window.eq_ignore_ascii_case(b"push"))
        || body.contains(&0)
        || body.windows(2).any(|window| window == "ſ".as_bytes())
        || body.windows(2).any(|window| window.eq_ignore_ascii_case(br"\x"))
        || body.windows(6).any(|window| {
            let digits = window.strip_prefix(br"\u").or(window.strip_prefix(br"\U"));
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            code.and_then(char::from_u32).is_some_and(|char| char.is_ascii_alphanumeric() || char == 'ſ')
        })
}

/// A name without what readers of JSON overlook: case, and the underscores of Protocol Buffers' own names.
fn folded(name: &str) -> String {
    let plain = name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase);
    plain.map(|char| if char == 'ſ' { 's' } else { char }).collect()
}

#[derive(Default)]
struct Found {
    /// The method is one of push notifications.
    is_push: bool,
    /// URLs below a name of push notifications.
    named: Vec<String>,
    /// All URLs.
    all: Vec<String>,
}

/// How deep a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Params,
    Deeper,
}

/// What a value is, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Url,
    Method,
    Other,
}

/// Looks at one value.
struct Look<'a> {
    level: Level,
    name: Name,
    /// It is below a name of push notifications.
    is_named: bool,
    /// It belongs to a message.
    is_content: bool,
    found: &'a mut Found,
}

impl Look<'_> {
    fn inside(&mut self) -> Look<'_> {
        Look {
            level: Level::Deeper,
            name: self.name,
            is_named: self.is_named,
            is_content: self.is_content,
            found: self.found,
        }
    }

    fn below(&mut self, name: &str) -> Look<'_> {
        let is_envelope = self.level == Level::Top || self.level == Level::Params;
        let plain = folded(name);
        Look {
            level: if self.level == Level::Top && plain == "params" { Level::Params } else { Level::Deeper },
            name: match plain.as_str() {
                "url" => Name::Url,
                "method" if self.level == Level::Top => Name::Method,
                _ => Name::Other,
            },
            is_named: self.is_named || plain.contains(PUSH),
            is_content: self.is_content || is_envelope && (name == "message" || name == "metadata"),
            found: self.found,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        match self.name {
            Name::Method => self.found.is_push |= folded(text).contains(PUSH),
            Name::Url => {
                let named = self.is_named && !self.is_content;
                let lists = [Some(&mut self.found.all), named.then_some(&mut self.found.named)];
                for list in lists.into_iter().flatten() {
                    // One more than there may be tells that there are too many.
                    if list.len() <= URLS_MAX {
                        list.push(text.to_owned());
                    }
                }
            }
            Name::Other => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut from: A) -> Result<(), A::Error> {
        while from.next_element_seed(self.inside())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut from: A) -> Result<(), A::Error> {
        while let Some(name) = from.next_key::<String>()? {
            from.next_value_seed(self.below(&name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn urls(operation: Operation, body: &Value) -> Vec<String> {
        urls_in(operation, body.to_string().as_bytes()).unwrap()
    }

    fn rpc(method: &str, params: Value) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    }

    #[test]
    fn every_place_of_a_webhook_is_found_in_every_version() {
        let config = json!({"id": "c", "url": "http://hook/", "token": "t"});
        let message = json!({"messageId": "m", "parts": [{"text": "hi"}]});
        for body in [
            rpc("CreateTaskPushNotificationConfig", json!({"taskId": "t", "url": "http://hook/"})),
            rpc("CreateTaskPushNotificationConfig", json!({"taskId": "t", "config": config})),
            rpc("tasks/pushNotificationConfig/set", json!({"taskId": "t", "pushNotificationConfig": config})),
            rpc("tasks/pushNotification/set", json!({"id": "t", "pushNotificationConfig": config})),
            rpc(
                "SendMessage",
                json!({"message": message, "configuration": {"taskPushNotificationConfig": config}}),
            ),
            rpc("SendStreamingMessage", json!({"configuration": {"task_push_notification_config": config}})),
            rpc(
                "message/send",
                json!({"message": message, "configuration": {"pushNotificationConfig": config}}),
            ),
            rpc("message/stream", json!({"configuration": {"push_notification_config": config}})),
            rpc("SendMessage", json!({"configuration": {"PUSHNOTIFICATIONCONFIG": {"URL": "http://hook/"}}})),
            rpc(
                "SendMessage",
                json!({"configuration": {"taſkPuſhNotificationConfig": {"Url": "http://hook/"}}}),
            ),
            json!({"METHOD": "createtaskpushnotificationconfig", "Params": {"url": ["http://hook/"]}}),
        ] {
            assert_eq!(urls(Operation::Rpc, &body), ["http://hook/"], "{body}");
        }
        let body = json!({"message": message, "configuration": {"taskPushNotificationConfig": config}});
        assert_eq!(urls(Operation::Message, &body), ["http://hook/"]);
        for body in [config.clone(), json!({"config": {"pushNotificationConfig": config}})] {
            assert_eq!(urls(Operation::Push, &body), ["http://hook/"], "{body}");
        }
    }

    #[test]
    fn neither_a_repeated_name_nor_an_escaped_one_hides_a_webhook() {
        for body in [
            r#"{"params":{"url":"http://a/","url":"http://b/"},"method":"CreateTaskPushNotificationConfig"}"#,
            r#"{"method":"CreateTaskPushNotificationConfig","method":"GetTask","params":{"url":"http://a/"},"params":{"url":"http://b/"}}"#,
            r#"{"method":"SendMessage","params":{"configuration":{"pushNotificationConfig":{"url":"http://a/"},"pushNotificationConfig":{"url":"http://b/"}}}}"#,
            r#"{"method":"SendMessage","params":{"configuration":{"\u0070ush\u004eotificationConfig":{"\u0075rl":"http://a/","ur\u006c":"http:\/\/b/"}}}}"#,
        ] {
            assert_eq!(
                urls_in(Operation::Rpc, body.as_bytes()).unwrap(),
                ["http://a/", "http://b/"],
                "{body}"
            );
        }
    }

    #[test]
    fn what_a_message_says_is_nobodys_webhook() {
        let data =
            json!({"pushNotificationConfig": {"url": "http://localhost/"}, "url": "http://localhost/"});
        let message = json!({"parts": [{"data": data, "url": "http://localhost/"}], "metadata": data});
        let params = json!({"message": message, "metadata": data});
        assert!(urls(Operation::Rpc, &rpc("SendMessage", params.clone())).is_empty());
        assert!(urls(Operation::Message, &params).is_empty());
        // Only where messages are.
        let hidden = json!({"configuration": {"message": data}});
        assert_eq!(urls(Operation::Rpc, &rpc("SendMessage", hidden)), ["http://localhost/"]);
        let hidden = json!({"message": {"url": "http://localhost/"}});
        assert_eq!(
            urls(Operation::Rpc, &rpc("CreateTaskPushNotificationConfig", hidden)),
            ["http://localhost/"]
        );
    }

    #[test]
    fn what_only_some_can_read_is_refused_when_it_may_set_a_push_notification() {
        let set = r#"{"method":"CreateTaskPushNotificationConfig","params":{"url":"http://a/"}}"#;
        let wide: Vec<u8> = set.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let deep = format!(r#"{{"pushNotificationConfig":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for body in [
            [b"\xef\xbb\xbf", set.as_bytes()].concat(),
            wide,
            set.replace("\"2", "2").replace('}', ",}").into_bytes(),
            set.replace("http://a/", "http://a/\\ud800").into_bytes(),
            format!("{set} {set}").into_bytes(),
            br#"{"method":"\x70ush"}{"#.to_vec(),
            deep.into_bytes(),
        ] {
            let found = urls_in(Operation::Rpc, &body);
            assert!(
                matches!(found, Err(Unclear::NotJson(_))),
                "{found:?}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        assert!(matches!(urls_in(Operation::Push, b"{"), Err(Unclear::NotJson(_))));
        for body in ["[]", " \n[{}]", "\u{feff}[{}]"] {
            assert_eq!(urls_in(Operation::Rpc, body.as_bytes()), Err(Unclear::Batch), "{body}");
        }
        let many = vec![json!({"url": "http://a/"}); URLS_MAX + 1];
        let many = json!({"pushNotificationConfigs": many});
        assert_eq!(urls_in(Operation::Message, many.to_string().as_bytes()), Err(Unclear::TooMany));
    }

    #[test]
    fn what_has_nothing_to_do_with_it_is_left_to_the_agent() {
        for body in ["", "{", "not JSON", "{\"id\":1e999,}", "{\"text\":\"\\ud83d\\ude00 \\ud800\"}"] {
            assert_eq!(urls_in(Operation::Rpc, body.as_bytes()), Ok(Vec::new()), "{body}");
        }
    }
}
