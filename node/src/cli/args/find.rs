use althing_card::{Query, QueryError, SkillError, SkillPath, Tag, Term};
use althing_gateway::api::Newcomers;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing find --skill text/translate
  althing find \"skill:text/translate AND lang:fr\"
  althing find \"(tag:cheap OR provider:acme) AND NOT streaming:false\" --healthy
  althing find --skill text --tag lang:fr --limit 10 --json
  althing find --skill text/translate --explain
  althing find --skill text/translate --watch
  althing find --skill text/translate --min-score 0.6
  althing find --skill text/translate --newcomers only

A query is terms, joined by AND, OR, NOT and parentheses:
  skill:text/translate   the skill or a special case of it; skill:=text only itself; skill:text/tr* by its beginning
  tag:cheap              a tag of a skill; lang:fr is tag:lang:fr; tag:lang:* by its beginning
  name: version: provider: input: output: streaming: push: transport: protocol: extension:
                         what the card says; name:bab* by its beginning
Values with spaces stand in quotation marks: name:\"Bab el\". Options are further terms, joined with AND.

The best rated come first; SCORE is what skill addresses choose by. Only who is served now is in the answer. REACH says how: direct, hole-punched, relay, unreachable (it was asked and did
not answer), unknown (nobody asked it).")]
pub(crate) struct Find {
    /// Which agents
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// With this skill or a special case of it, such as text/translate; may be given several times
    #[arg(long, value_name = "SKILL", value_parser = skill)]
    skill: Vec<SkillPath>,
    /// With this very skill; may be given several times
    #[arg(long, value_name = "SKILL", value_parser = skill)]
    skill_exact: Vec<SkillPath>,
    /// With a skill that begins like this, such as text/tr; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = skill_prefix)]
    skill_prefix: Vec<Query>,
    /// With this tag, such as lang:fr; may be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Only agents whose node answered in this search or is connected now
    #[arg(long)]
    pub(crate) healthy: bool,
    /// Only agents whose score is at least this, from 0 to 1; who was never rated has none
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub(crate) min_score: Option<u64>,
    /// Agents with fewer than 3 rated calls: with others, without them, or only them; with --min-score both must hold, and
    /// who was never rated has no score
    #[arg(long, value_name = "WHICH", value_parser = clap::value_parser!(Newcomers))]
    pub(crate) newcomers: Option<Newcomers>,
    /// Most agents to show, up to 1000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// Say which keys, pages and peers were asked
    #[arg(long)]
    pub(crate) explain: bool,
    /// Go on with what changes: + appeared, ~ changed, - gone; with --json one document a line. Ctrl-C ends it
    #[arg(long, conflicts_with = "explain")]
    pub(crate) watch: bool,
    /// Answer from the node's own index if it knows any; ask the network only if not
    #[arg(long)]
    pub(crate) local: bool,
}

impl Find {
    /// Everything that is asked for; none if nothing is.
    pub(crate) fn wanted(&self) -> Result<Option<Query>, QueryError> {
        let written = (!self.query.is_empty()).then(|| self.query.join(" ").parse::<Query>()).transpose()?;
        let terms =
            self.skill.iter().cloned().map(Term::Skill).chain(self.tag.iter().cloned().map(Term::Tag));
        let exact = self.skill_exact.iter().cloned().map(Query::exactly);
        let all = written.into_iter().chain(terms.map(Query::from)).chain(exact);
        Query::all(all.chain(self.skill_prefix.iter().cloned()))
    }
}

/// A score of 0 to 1 in thousandths.
pub(super) fn score(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a number from 0 to 1 with at most three places, found {text}");
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(places) || places.len() > 3 || whole.len() + places.len() == 0 {
        return Err(expected());
    }
    let thousandths = format!("{whole}{places:0<3}").parse().map_err(|_| expected())?;
    if thousandths <= 1_000 { Ok(thousandths) } else { Err(expected()) }
}

/// A skill path, normalised as the skill ids in cards are.
pub(super) fn skill(text: &str) -> Result<SkillPath, SkillError> {
    SkillPath::derive(text)
}

fn skill_prefix(text: &str) -> Result<Query, String> {
    let plain = text.strip_suffix('*').unwrap_or(text).replace(['"', '\\', '*'], "-");
    format!("skill:\"{plain}*\"").parse().map_err(|error: QueryError| error.fault().to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};

    fn wanted(words: &[&str]) -> String {
        let words = ["althing", "find"].iter().chain(words).copied();
        let Command::Find(find) = Cli::try_parse_from(words).unwrap().command else { panic!("not a find") };
        find.wanted().unwrap().map(|query| query.to_string()).unwrap_or_default()
    }

    #[test]
    fn options_and_query_are_joined_with_and() {
        assert_eq!(wanted(&["--skill", "Text/Translate FR"]), "skill:text/translate-fr");
        assert_eq!(wanted(&["tag:a", "OR", "tag:b", "--tag", "Lang:FR"]), "(tag:a OR tag:b) AND tag:lang:fr");
        assert_eq!(
            wanted(&["--skill", "a", "--skill-exact", "b", "--skill-prefix", "C/d", "--skill", "e"]),
            "skill:a AND skill:e AND skill:=b AND skill:c/d*"
        );
        assert_eq!(wanted(&["--skill-prefix", "text/*"]), "skill:text/*");
        assert_eq!(wanted(&[]), "");
    }
}
