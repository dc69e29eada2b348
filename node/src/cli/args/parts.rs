use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches};

/// The options that are parts of a message, and the one that belongs to the part before it.
const TEXT: &str = "text";
const FILE: &str = "file";
const DATA: &str = "data";
const MEDIA_TYPE: &str = "media_type";

/// What a message is made of, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Vec<Part>);

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) content: Content,
    /// What the caller says that it is.
    pub(crate) media_type: Option<String>,
}

/// Where a part comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// This very text.
    Text(String),
    /// A file of this machine, or a URL that the agent fetches.
    File(String),
    /// A file with JSON, or `-` for standard input.
    Data(String),
}

impl Args for Parts {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append)
        };
        command
            .arg(option(TEXT, "TEXT", "A part: this text; parts may be given several times, in their order"))
            .arg(option(
                FILE,
                "FILE|URL",
                "A part: a file, sent with the message, or a URL, which the agent fetches",
            ))
            .arg(option(DATA, "FILE", "A part: the JSON in a file; - reads standard input"))
            .arg(
                option(
                    MEDIA_TYPE,
                    "TYPE",
                    "The media type of the part before it [default: by the file's name]",
                )
                .long("media-type"),
            )
            .group(ArgGroup::new("parts").args([TEXT, FILE, DATA]).multiple(true).required(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Parts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut words = Vec::new();
        for name in [TEXT, FILE, DATA, MEDIA_TYPE] {
            let indices = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_many::<String>(name).into_iter().flatten();
            words.extend(indices.zip(values).map(|(index, value)| (index, name, value.clone())));
        }
        words.sort_by_key(|(index, ..)| *index);
        let mut parts: Vec<Part> = Vec::new();
        for (_, name, value) in words {
            let content = match name {
                TEXT => Content::Text(value),
                FILE => Content::File(value),
                DATA => Content::Data(value),
                _ => {
                    match parts.last_mut() {
                        Some(part) if part.media_type.is_none() => part.media_type = Some(value),
                        Some(_) | None => return Err(astray()),
                    }
                    continue;
                }
            };
            parts.push(Part { content, media_type: None });
        }
        Ok(Self(parts))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn astray() -> clap::Error {
    clap::Error::raw(
        ErrorKind::ArgumentConflict,
        "--media-type stands after the part that it is of: --text, --file or --data\n",
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn parts(words: &str) -> Result<Vec<Part>, clap::Error> {
        let words = format!("althing send babel {words}");
        let command = Cli::try_parse_from(words.split(' '))?.command;
        let Command::Send(send) = command else { panic!("{command:?}") };
        Ok(send.parts.0)
    }

    #[test]
    fn parts_keep_their_order_and_their_media_types() {
        let part =
            |content, media_type: Option<&str>| Part { content, media_type: media_type.map(str::to_owned) };
        assert_eq!(
            parts(
                "--file a --media-type x/y --text b --json --data - --file=http://c --media-type=z/z --text d"
            )
            .unwrap(),
            [
                part(Content::File("a".into()), Some("x/y")),
                part(Content::Text("b".into()), None),
                part(Content::Data("-".into()), None),
                part(Content::File("http://c".into()), Some("z/z")),
                part(Content::Text("d".into()), None),
            ]
        );
    }

    #[test]
    fn a_media_type_needs_a_part_before_it() {
        for words in [
            "--media-type a/b --text x",
            "--text x --media-type a/b --media-type c/d",
            "--media-type a/b",
            "--json",
        ] {
            assert_eq!(parts(words).unwrap_err().exit_code(), 2, "{words}");
        }
    }
}
