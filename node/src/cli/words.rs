//! Options on the command line: several in one word, with commas between them, as a row of a CSV file.

/// Options in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options(Vec<String>);

/// Options with their scores, in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scores(Vec<(String, u8)>);

impl Options {
    /// The options of all words.
    pub(crate) fn all(words: Vec<Self>) -> Vec<String> {
        words.into_iter().flat_map(|word| word.0).collect()
    }
}

impl Scores {
    /// The scores of all words.
    pub(crate) fn all(words: Vec<Self>) -> Vec<(String, u8)> {
        words.into_iter().flat_map(|word| word.0).collect()
    }
}

/// `Oslo,Turku`, or `"Paris, Texas",Turku`.
pub(crate) fn options(text: &str) -> Result<Options, String> {
    let read = |item: Item<'_>| match item.option {
        Some(option) if item.rest.is_empty() => Ok(option),
        Some(_) => Err(format!("expected a comma after the closing quote, found \"{}\"", item.rest)),
        None => Ok(item.rest.to_owned()),
    };
    items(text)?.into_iter().map(read).collect::<Result<_, _>>().map(Options)
}

/// `Oslo=5,Turku=2`, or `"Paris, Texas"=5,Turku=2`.
pub(crate) fn scores(text: &str) -> Result<Scores, String> {
    let read = |item: Item<'_>| {
        let (option, score) = match item.option {
            Some(option) => {
                (option, item.rest.strip_prefix('=').ok_or("expected =N after the closing quote")?)
            }
            None => {
                let (option, score) = item.rest.rsplit_once('=').ok_or("expected OPTION=N")?;
                (option.to_owned(), score)
            }
        };
        let score = score.parse().ok().filter(|score| *score <= 5);
        Ok((option, score.ok_or("expected a score from 0 to 5")?))
    };
    items(text)?.into_iter().map(read).collect::<Result<_, String>>().map(Scores)
}

/// What stands between two commas.
struct Item<'t> {
    /// What stood in quotes at its beginning.
    option: Option<String>,
    /// Everything else.
    rest: &'t str,
}

fn items(text: &str) -> Result<Vec<Item<'_>>, String> {
    let (mut items, mut left) = (Vec::new(), text);
    loop {
        let mut option = None;
        if let Some(quoted) = left.strip_prefix('"') {
            let (inside, behind) = unquoted(quoted).ok_or("a quote is not closed")?;
            (option, left) = (Some(inside), behind);
        }
        let (rest, behind) = left.split_once(',').map_or((left, None), |(rest, behind)| (rest, Some(behind)));
        items.push(Item { option, rest });
        match behind {
            Some(behind) => left = behind,
            None => return Ok(items),
        }
    }
}

/// What is in the quotes, with doubled ones as one, and what is behind them.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut inside, mut left) = (String::new(), text);
    loop {
        let (before, behind) = left.split_once('"')?;
        inside.push_str(before);
        let Some(further) = behind.strip_prefix('"') else { return Some((inside, behind)) };
        inside.push('"');
        left = further;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<String> {
        Options::all(vec![options(text).unwrap()])
    }

    #[test]
    fn options_stand_between_commas_as_they_always_did() {
        assert_eq!(listed("Oslo,Turku"), ["Oslo", "Turku"]);
        assert_eq!(listed("New York, Turku "), ["New York", " Turku "]);
        assert_eq!(listed("5\" pipe,x=y"), ["5\" pipe", "x=y"]);
        assert_eq!(listed("Oslo,"), ["Oslo", ""]);
        let words = ["a,b", "c"].map(|word| options(word).unwrap());
        assert_eq!(Options::all(words.to_vec()), ["a", "b", "c"]);
    }

    #[test]
    fn an_option_in_quotes_may_have_commas_and_quotes() {
        assert_eq!(listed("\"Paris, Texas\",Turku"), ["Paris, Texas", "Turku"]);
        assert_eq!(listed("Turku,\"a \"\"b\"\", c\""), ["Turku", "a \"b\", c"]);
        assert_eq!(listed("\"\""), [""]);
    }

    #[test]
    fn scores_stand_behind_the_last_equals_sign_or_the_quotes() {
        let scored = |text| Scores::all(vec![scores(text).unwrap()]);
        assert_eq!(scored("Oslo=5,a=b=2"), [("Oslo".to_owned(), 5), ("a=b".to_owned(), 2)]);
        assert_eq!(scored("\"Paris, Texas\"=5,Turku=0"), [("Paris, Texas".into(), 5), ("Turku".into(), 0)]);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for wrong in ["\"Oslo", "\"Oslo\"x,Turku", "\"Oslo\"\"", "\"a\" ,b"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
        for wrong in ["Oslo", "Oslo=6", "Oslo=-1", "\"Oslo\"", "\"Oslo\"5", "Oslo=5,", "\"Paris, Texas=5"] {
            assert!(scores(wrong).is_err(), "{wrong}");
        }
    }
}
