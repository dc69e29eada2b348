use std::collections::BTreeMap;

use regex::{Captures, Regex};

/// What differs from one run to the next, and what it stood for in this one.
#[derive(Debug)]
pub(crate) struct Memory {
    variable: Regex,
    known: BTreeMap<String, String>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let id = r"(?:did:key:)?[0-9A-Za-z-]*…[0-9A-Za-z]*";
        let time = r"\d{4}-\d\d-\d\dT[0-9:.]+Z";
        let number = r"\d+\.\d+(?:\s?(?:µs|ms|s))?|\b\d{4,}\b";
        let variable = Regex::new(&format!("(?P<id>{id})|(?P<time>{time})|(?P<number>{number})"));
        Self { variable: variable.expect("a valid pattern"), known: BTreeMap::new() }
    }

    /// A command as it stands in the document, with what is known put in.
    pub(crate) fn fill(&self, command: &str) -> Result<String, String> {
        let mut unknown = None;
        let filled = self.variable.replace_all(command, |found: &Captures<'_>| {
            let shown = &found[0];
            // Addresses with dots are no variables, and neither are the command's own numbers.
            self.known.get(shown).cloned().unwrap_or_else(|| {
                if shown.contains('…') {
                    unknown = Some(shown.to_owned());
                }
                shown.to_owned()
            })
        });
        match unknown {
            Some(shown) => Err(format!("nothing has printed {shown} yet")),
            None => Ok(filled.split(' ').map(|word| self.lengthen(word)).collect::<Vec<_>>().join(" ")),
        }
    }

    /// The same beginning of what an id stood for, for a word that is the beginning of an id.
    fn lengthen(&self, word: &str) -> String {
        let meant = self.known.iter().find(|(shown, _)| {
            let head = shown.split('…').next().unwrap_or_default();
            word.len() >= 8 && head.starts_with(word) && shown.contains('…')
        });
        meant.and_then(|(_, real)| real.get(..word.len())).unwrap_or(word).to_owned()
    }

    /// Compares a line with what the document shows, and remembers what its variables stood for.
    pub(crate) fn matches(&mut self, shown: &str, printed: &str) -> bool {
        let mut pattern = String::from("^");
        let (mut names, mut rest) = (Vec::new(), 0);
        for found in self.variable.captures_iter(shown) {
            let whole = found.get(0).expect("a match");
            pattern.push_str(&literal(&self.beginnings(&shown[rest..whole.start()])));
            rest = whole.end();
            pattern.push_str(if found.name("id").is_some() {
                names.push(whole.as_str().to_owned());
                r"([0-9A-Za-z:-]+…?[0-9A-Za-z]*)"
            } else if found.name("time").is_some() {
                r"\d{4}-\d\d-\d\dT[0-9:.]+Z"
            } else if whole.as_str().contains('.') {
                // A dash stands where something is not measured yet.
                r"(?:-|\d+(?:\.\d+)?(?:\s?(?:µs|ms|s))?)"
            } else {
                names.push(whole.as_str().to_owned());
                r"(\d+)"
            });
        }
        pattern.push_str(&literal(&self.beginnings(&shown[rest..])));
        pattern.push_str(r"\s*$");
        let Some(found) = Regex::new(&pattern).expect("a valid pattern").captures(printed) else {
            return false;
        };
        let stood: Vec<_> = found.iter().skip(1).flatten().map(|one| one.as_str().to_owned()).collect();
        names.iter().zip(&stood).all(|(name, real)| self.agrees(name, real))
            && names.into_iter().zip(stood).all(|(name, real)| {
                self.known.entry(name).or_insert(real);
                true
            })
    }

    /// Whether a variable can stand for this: it does not stand for something else.
    fn agrees(&self, name: &str, real: &str) -> bool {
        // Only ids are one and the same wherever they are shown; a count can come again with another number.
        !name.contains('…') || self.known.get(name).is_none_or(|known| known == real)
    }

    fn beginnings(&self, text: &str) -> String {
        text.split(' ').map(|word| self.lengthen(word)).collect::<Vec<_>>().join(" ")
    }
}

/// A pattern for a text whose blanks are as wide as they need to be.
fn literal(text: &str) -> String {
    let blanks = Regex::new(r"(?:\\? )+").expect("a valid pattern");
    blanks.replace_all(&regex::escape(text), r"\s+").into_owned()
}

#[test]
fn variables_are_remembered_and_must_agree() {
    let mut memory = Memory::new();
    assert!(memory.matches("agent  did:key:z6Mk…9x", "agent      did:key:z6MkqqqQ7"));
    assert!(memory.matches("/ip4/127.0.0.1/tcp/43005/p2p/12D3…aB", "/ip4/127.0.0.1/tcp/7/p2p/12D3KooWx"));
    assert!(memory.matches("proposal 172b29a16f…", "proposal aaaabbbbccccdddd"));
    assert_eq!(
        memory.fill("up --join /ip4/127.0.0.1/tcp/43005/p2p/12D3…aB --agent did:key:z6Mk…9x").unwrap(),
        "up --join /ip4/127.0.0.1/tcp/7/p2p/12D3KooWx --agent did:key:z6MkqqqQ7"
    );
    assert_eq!(memory.fill("vote cast 172b29a1 yes").unwrap(), "vote cast aaaabbbb yes");
    assert!(memory.matches("hint: 172b29a1 is open", "hint: aaaabbbb is open"));
    assert!(!memory.matches("agent  did:key:z6Mk…9x", "agent did:key:z6Mkother"));
    assert!(memory.fill("get did:key:z6Mk…new").is_err());
}

#[test]
fn what_does_not_differ_must_not() {
    let mut memory = Memory::new();
    assert!(memory.matches("yes        2", "yes  2"));
    assert!(!memory.matches("yes        2", "yes  3"));
    assert!(!memory.matches("state  ready", "state  starting"));
    assert!(!memory.matches("state  ready", "state  ready now"));
    assert!(memory.matches("1.8 ms  at 2026-11-20T14:38:38.557Z", "912 µs  at 2027-01-02T03:04:05.678Z"));
    assert!(memory.matches("stopped (pid 15573)", "stopped (pid 9)"));
}
