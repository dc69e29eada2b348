use althing_engine::{Refusal, RefusalKind};

use super::refuse;

/// Longest local name.
const NAME_MAX: usize = 40;

/// What local names may not be: the node's own agent, and names of recovery keys.
const TAKEN: &str = "default";

/// The local name of an agent: the one that is wished, or one made of its card's.
pub(super) fn choose(wished: Option<&str>, title: &str) -> Result<String, Refusal> {
    let Some(wished) = wished else { return Ok(slug(title)) };
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    let fits = !wished.is_empty() && wished.len() <= NAME_MAX && wished.chars().all(plain);
    if fits && wished != TAKEN && !wished.ends_with("-recovery") && !wished.starts_with('-') {
        return Ok(wished.to_owned());
    }
    let shown: String = wished.chars().take(80).collect();
    let cause = format!("\"{shown}\" cannot be a local name");
    let hint = format!("use 1 to {NAME_MAX} of a-z, 0-9 and -, such as {}", slug(wished));
    Err(refuse(RefusalKind::Invalid, cause, Some(&hint)))
}

fn slug(title: &str) -> String {
    let mut name = String::new();
    for char in title.chars().flat_map(char::to_lowercase) {
        if char.is_ascii_lowercase() || char.is_ascii_digit() {
            name.push(char);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= NAME_MAX {
            break;
        }
    }
    let name = name.trim_end_matches('-').trim_end_matches("-recovery");
    if name.is_empty() || name == TAKEN { "agent".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_titles_and_wishes_are_checked() {
        for (title, name) in
            [("Babel", "babel"), ("My  Agent (v2)!", "my-agent-v2"), ("日本", "agent"), ("Default", "agent")]
        {
            assert_eq!(choose(None, title).unwrap(), name);
        }
        assert_eq!(choose(Some("upper-1"), "x").unwrap(), "upper-1");
        for wrong in ["", "Upper", "a b", "default", "x-recovery", "../x", "-x", &"a".repeat(41)] {
            assert!(choose(Some(wrong), "x").is_err(), "{wrong}");
        }
    }
}
