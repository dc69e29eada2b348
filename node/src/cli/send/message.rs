use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use a2a::{Message, Part, Role, new_message_id};

use super::super::args::{self, Content};
use super::super::failure::{Exit, Failure};

/// Most bytes that the files of one message have together: they travel inside of it.
const FILES_BYTES_MAX: u64 = 12 * 1_024 * 1_024;

/// Media types of files that are often sent, by the end of their name.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The message that a command line describes; reads its files.
pub(super) fn message(args: &args::Send) -> Result<Message, Failure> {
    let mut left = FILES_BYTES_MAX;
    let parts = args.parts.0.iter().map(|given| part(given, &mut left)).collect::<Result<_, _>>()?;
    Ok(Message {
        message_id: args.message_id.clone().unwrap_or_else(new_message_id),
        context_id: args.context_id.clone(),
        task_id: args.task_id.clone(),
        role: Role::User,
        parts,
        metadata: None,
        extensions: None,
        reference_task_ids: None,
    })
}

fn part(given: &args::Part, left: &mut u64) -> Result<Part, Failure> {
    let mut part = match &given.content {
        Content::Text(text) => Part::text(text),
        Content::File(url) if is_url(url) => Part::url(url),
        Content::File(path) => file(Path::new(path), left)?,
        Content::Data(path) => {
            let json = read(Path::new(path), left)?;
            Part::data(serde_json::from_slice(&json).map_err(|error| {
                Failure::new(Exit::Usage, format!("{path} is not JSON: {error}"))
                    .hint("--text sends text, --file a file as it is".to_owned())
            })?)
        }
    };
    part.media_type = given.media_type.clone().or(part.media_type);
    Ok(part)
}

fn file(path: &Path, left: &mut u64) -> Result<Part, Failure> {
    let part = Part::raw(read(path, left)?).with_media_type(media_type(path));
    Ok(match path.file_name() {
        Some(name) => part.with_filename(name.to_string_lossy()),
        None => part,
    })
}

/// Reads a file, or standard input, within what is left for files.
fn read(path: &Path, left: &mut u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(*left + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|open| open.take(*left + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::file("read", path, &error))?;
    *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
        let cause = format!("the files of a message have at most {FILES_BYTES_MAX} bytes together");
        Failure::new(Exit::Failed, cause).hint("--file with a URL has the agent fetch it".to_owned())
    })?;
    Ok(bytes)
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

fn media_type(path: &Path) -> &'static str {
    let end = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let known = MEDIA_TYPES.iter().find(|(known, _)| *known == end);
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::super::super::args::{Cli, Command};
    use super::*;

    fn sent(words: &[&str]) -> Result<Value, Failure> {
        let command = Cli::try_parse_from([&["althing", "send", "babel"], words].concat()).unwrap().command;
        let Command::Send(args) = command else { panic!("{command:?}") };
        Ok(serde_json::to_value(super::super::request(&args)?).unwrap())
    }

    #[test]
    fn a_message_has_its_parts_and_ids() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("a.PNG"), [0; 4]).unwrap();
        std::fs::write(path("b.json"), r#"{"k": 1}"#).unwrap();
        let words = [
            "--text",
            "hello",
            "--file",
            &path("a.PNG"),
            "--file",
            &path("b.json"),
            "--media-type",
            "x/y",
            "--data",
            &path("b.json"),
            "--file",
            "HTTP://x/y",
            "--message-id",
            "m",
            "--task-id",
            "t",
            "--context-id",
            "c",
            "--metadata",
            r#"{"n":1}"#,
            "--async",
        ];
        let expected = json!({
            "message": {
                "messageId": "m", "contextId": "c", "taskId": "t", "role": "ROLE_USER",
                "parts": [
                    {"text": "hello"},
                    {"raw": "AAAAAA==", "filename": "a.PNG", "mediaType": "image/png"},
                    {"raw": "eyJrIjogMX0=", "filename": "b.json", "mediaType": "x/y"},
                    {"data": {"k": 1}},
                    {"url": "HTTP://x/y"},
                ],
            },
            "configuration": {"returnImmediately": true},
            "metadata": {"n": 1},
        });
        assert_eq!(sent(&words).unwrap(), expected);
        let plain = sent(&["--text", "hello"]).unwrap();
        assert!(plain.get("configuration").is_none() && plain["message"]["messageId"].is_string(), "{plain}");
    }

    #[test]
    fn files_that_cannot_be_sent_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no.json").display().to_string();
        assert!(sent(&["--file", &path]).unwrap_err().cause().contains(&path));
        std::fs::write(&path, "{").unwrap();
        let failure = sent(&["--data", &path]).unwrap_err();
        assert_eq!((failure.exit, failure.cause().contains("not JSON")), (Exit::Usage, true));
        std::fs::File::create(&path).unwrap().set_len(FILES_BYTES_MAX / 2 + 1).unwrap();
        let failure = sent(&["--file", &path, "--file", &path]).unwrap_err();
        assert!(failure.cause().contains("at most"), "{failure:?}");
    }
}
