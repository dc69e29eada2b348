use super::*;
use crate::Card;

fn canonical(text: &str) -> String {
    let query: Query = text.parse().unwrap();
    let canonical = query.to_string();
    assert_eq!(canonical.parse(), Ok(query), "{canonical}");
    canonical
}

fn error(text: &str) -> QueryError {
    text.parse::<Query>().unwrap_err()
}

#[test]
fn queries_have_one_canonical_form() {
    for (text, expected) in [
        ("skill:Text/Translate", "skill:text/translate"),
        ("SKILL:\"route optimizer\"", "skill:route-optimizer"),
        ("skill:=text", "skill:=text"),
        ("skill:Text/tr*", "skill:text/tr*"),
        ("skill:text/*", "skill:text/*"),
        ("skill:*", "skill:*"),
        ("lang:FR", "tag:lang:fr"),
        ("lang:*", "tag:lang:*"),
        ("tag:\" Machine Learning \"", "tag:\"machine learning\""),
        (r#"name:"a \"quoted\" \* \\""#, r#"name:"a \"quoted\" \* \\""#),
        ("name:\"Bab el*\"", "name:\"bab el*\""),
        ("provider:*", "provider:*"),
        ("name:not", "name:not"),
        ("tag:a AND tag:b OR tag:c", "tag:a AND tag:b OR tag:c"),
        ("tag:a AND (tag:b OR tag:c)", "tag:a AND (tag:b OR tag:c)"),
        ("((tag:a))and((tag:b AND tag:c))", "tag:a AND tag:b AND tag:c"),
        ("NOT NOT tag:a", "tag:a"),
        ("not (tag:a or not tag:b)", "NOT (tag:a OR NOT tag:b)"),
        ("streaming:TRUE\n", "streaming:true"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn errors_point_at_the_character() {
    for (text, message, diagram) in [
        ("skil:text", "unknown attribute \"skil\" (at character 1)", "skil:text\n^^^^"),
        ("tag:a fr", "expected AND, OR or the end, found \"fr\" (at character 7)", "tag:a fr\n      ^^"),
        ("tag:a AND fr", "\"fr\" says not what it is (at character 11)", "tag:a AND fr\n          ^^"),
        ("(tag:a", "parenthesis is not closed (at character 1)", "(tag:a\n^"),
        ("tag:a)", "expected an opening parenthesis before it, found ')' (at character 6)", "tag:a)\n     ^"),
        (
            "tag:a AND",
            "expected a term such as skill:text/translate, found the end (at character 10)",
            "tag:a AND\n         ^",
        ),
        (
            "tag:a AND OR tag:b",
            "expected a term such as skill:text/translate, found \"OR\" (at character 11)",
            "tag:a AND OR tag:b\n          ^^",
        ),
        ("tag: a", "tag: has no value (at character 1)", "tag: a\n^^^^"),
        (":a", "expected a name before the colon, found ':' (at character 1)", ":a\n^"),
        ("name:\"a", "quotation mark is not closed (at character 6)", "name:\"a\n     ^"),
        ("name:a*b", "'*' can only stand at the end of a value (at character 7)", "name:a*b\n      ^"),
        (
            "streaming:maybe",
            "streaming is true or false, found \"maybe\" (at character 11)",
            "streaming:maybe\n          ^^^^^",
        ),
        (
            "skill:=a*",
            "a skill is either exact ('=') or a beginning ('*') (at character 8)",
            "skill:=a*\n       ^^",
        ),
        ("ü:a OR skill:/", "unknown attribute \"ü\" (at character 1)", "ü:a OR skill:/\n^"),
        ("tag:ü OR skill:/", "skill is empty (at character 16)", "tag:ü OR skill:/\n               ^"),
    ] {
        let error = error(text);
        assert_eq!(error.to_string(), message, "{text}");
        assert_eq!(error.diagram(), diagram, "{text}");
    }
    assert_eq!(*error("  ").fault(), QueryFault::Empty);
    assert_eq!(error("tag:a\0").diagram().lines().count(), 2);
}

#[test]
fn hints_name_the_nearest_attribute() {
    let hint = |text: &str| error(text).hint().unwrap();
    assert_eq!(hint("skil:a"), "did you mean skill:?");
    assert_eq!(hint("Streeming:true"), "did you mean streaming:?");
    assert_eq!(hint("transports:grpc"), "did you mean transport:?");
    assert!(hint("x:a").starts_with("there are skill, tag, lang, name,"), "{}", hint("x:a"));
    assert_eq!(hint("fr"), "write skill:fr or tag:fr; between two terms stands AND or OR");
}

#[test]
fn long_queries_are_shown_around_the_fault() {
    let text = format!("{} OR nam:x OR {}", vec!["tag:a"; 20].join(" OR "), vec!["tag:b"; 20].join(" OR "));
    let error = error(&text);
    let diagram = error.diagram();
    let (line, carets) = diagram.split_once('\n').unwrap();
    assert!(line.chars().count() < 70 && line.starts_with('…') && line.ends_with('…'), "{diagram}");
    let from = carets.find('^').unwrap();
    assert_eq!(line.chars().skip(from).take(3).collect::<String>(), "nam", "{diagram}");
}

#[test]
fn size_depth_and_terms_are_bounded() {
    let nested = |depth: usize| format!("{}tag:a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(DEPTH_MAX).parse::<Query>().is_ok());
    assert_eq!(*error(&nested(DEPTH_MAX + 1)).fault(), QueryFault::TooDeep);
    assert_eq!(error(&nested(DEPTH_MAX + 1)).at(), DEPTH_MAX + 1);
    assert_eq!(*error(&format!("{}tag:a", "NOT ".repeat(DEPTH_MAX + 1))).fault(), QueryFault::TooDeep);
    let terms = |count: usize| vec!["tag:a"; count].join(" OR ");
    assert!(terms(TERMS_MAX).parse::<Query>().is_ok());
    assert_eq!(*error(&terms(TERMS_MAX + 1)).fault(), QueryFault::TooManyTerms);
    let long = |bytes: usize| format!("tag:a{}", " ".repeat(bytes - 5));
    assert!(long(BYTES_MAX).parse::<Query>().is_ok());
    assert_eq!(*error(&long(BYTES_MAX + 1)).fault(), QueryFault::TooLong(BYTES_MAX + 1));
    // Every İ is a byte longer in lower case.
    let grown = vec![format!("tag:{}", "İ".repeat(21)); 20].join(" OR ");
    assert!(grown.len() <= BYTES_MAX);
    assert!(matches!(error(&grown).fault(), QueryFault::TooLong(found) if *found > BYTES_MAX));
    assert!(matches!(error(&format!("name:{}", "x".repeat(129))).fault(), QueryFault::Value(_)));
    assert!(matches!(error(&format!("tag:{}*", "x".repeat(64))).fault(), QueryFault::Tag(_)));
    let query: Query = terms(40).parse().unwrap();
    assert!(Query::all([query.clone(), query]).is_err());
    assert_eq!(Query::all([]), Ok(None));
}

#[test]
fn plans_lead_to_every_match() {
    for (text, expected) in [
        ("skill:text/translate", "skill:text/translate"),
        ("skill:=text", "skill:text"),
        ("skill:text/tr*", "skill:text"),
        ("skill:te*", "local index only: skill:te*"),
        ("tag:lang:*", "local index only: tag:lang:*"),
        ("skill:a AND lang:fr", "any of (skill:a, tag:lang:fr)"),
        ("skill:a OR lang:fr", "all of (skill:a, tag:lang:fr)"),
        ("skill:a AND NOT lang:fr AND name:x", "skill:a"),
        ("skill:a OR NOT lang:fr", "all of (skill:a, local index only: NOT tag:lang:fr)"),
        ("name:x AND NOT tag:a", "local index only: name:x AND NOT tag:a"),
        ("NOT (tag:a OR NOT skill:b)", "skill:b"),
        ("NOT (tag:a AND tag:b)", "all of (local index only: NOT tag:a, local index only: NOT tag:b)"),
        ("skill:a AND skill:a/b", "skill:a/b"),
        ("skill:a OR skill:a/b", "skill:a"),
        ("(skill:a OR name:x) AND tag:t", "tag:t"),
        ("(skill:a OR name:x) AND name:y", "all of (skill:a, local index only: name:x)"),
        ("skill:a AND (tag:b AND tag:c)", "any of (skill:a, tag:b, tag:c)"),
    ] {
        assert_eq!(text.parse::<Query>().unwrap().plan().to_string(), expected, "{text}");
    }
}

#[test]
fn cards_match_by_skills_tags_and_attributes() {
    let json = br#"{
        "name": "Babel", "version": "1.2.0", "capabilities": {"streaming": true},
        "skills": [{"id": "text/translate/fr", "tags": ["lang:FR", "Cheap", 7, ""]}]
    }"#;
    let card = Card::new(json.to_vec()).unwrap();
    let matches = |text: &str| text.parse::<Query>().unwrap().matches(&card.facts());
    for text in [
        "skill:text",
        "skill:=text/translate/fr",
        "skill:text/tr*",
        "skill:te*",
        "skill:text/*",
        "lang:fr",
        "tag:cheap",
        "tag:ch*",
        "name:BABEL",
        "name:bab*",
        "version:1.2*",
        "streaming:true",
        "push:false",
        "skill:text AND NOT lang:de",
        "lang:de OR name:babel",
        "NOT (lang:de OR name:x)",
    ] {
        assert!(matches(text), "{text}");
    }
    for text in [
        "skill:=text",
        "skill:text/x*",
        "skill:text/translate/fr/*",
        "lang:f",
        "tag:fr",
        "name:bab",
        "version:1.2",
        "streaming:false",
        "provider:*",
        "skill:text AND lang:de",
        "NOT skill:text",
    ] {
        assert!(!matches(text), "{text}");
    }
}
