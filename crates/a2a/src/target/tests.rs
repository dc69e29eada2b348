use proptest::prelude::*;

use super::*;

fn on(base: &str, target: &str) -> Result<String, TargetError> {
    BasePath::of(&Url::parse(&format!("http://localhost:9999{base}")).unwrap()).on_origin("GET", target)
}

#[test]
fn targets_stay_below_the_base_and_keep_their_spelling() {
    for (base, target, expected) in [
        ("", "/", "/"),
        ("/", "/", "/"),
        ("/a2a", "/", "/a2a"),
        ("/a2a/", "/", "/a2a/"),
        ("/a2a", "/?x=1", "/a2a?x=1"),
        ("/a2a/", "/message:send", "/a2a/message:send"),
        ("/a2a", "/v1/message:stream?a=b&c=%2F", "/a2a/v1/message:stream?a=b&c=%2F"),
        ("/a2a?assistant_id=1", "/tasks/a%20b", "/a2a/tasks/a%20b"),
        ("/a2a", "/tasks/", "/a2a/tasks/"),
        ("/a", "/tasks/x:subscribe", "/a/tasks/x:subscribe"),
        ("/a", "/%e2%82%ac/a%2Fb", "/a/%e2%82%ac/a%2Fb"),
        ("/a", "/.well-known/agent-card.json", "/a/.well-known/agent-card.json"),
        ("/a", "/...", "/a/..."),
        ("/a", "/..a/b..", "/a/..a/b.."),
        ("/a", "/a;b=c", "/a/a;b=c"),
        ("/a", "/?next=/../x//y\\", "/a?next=/../x//y\\"),
        ("/a", "/?a?b", "/a?a?b"),
    ] {
        assert_eq!(on(base, target).as_deref(), Ok(expected), "{base} {target}");
    }
}

#[test]
fn forms_that_name_something_else_are_refused() {
    for (target, error) in [
        ("", TargetError::Empty),
        ("*", TargetError::Asterisk),
        ("http://169.254.169.254/", TargetError::AbsoluteForm),
        ("HTTP://localhost:9999/", TargetError::AbsoluteForm),
        ("file:///etc/passwd", TargetError::AbsoluteForm),
        ("localhost:22", TargetError::AuthorityForm),
        ("example.com:443", TargetError::AuthorityForm),
        ("a", TargetError::AuthorityForm),
        ("?x", TargetError::AuthorityForm),
        ("\\a", TargetError::AuthorityForm),
        (" /", TargetError::AuthorityForm),
        ("./a", TargetError::AuthorityForm),
    ] {
        assert_eq!(on("/a", target), Err(error), "{target}");
    }
    let base = BasePath::of(&Url::parse("http://a/").unwrap());
    assert_eq!(base.on_origin("CONNECT", "/"), Err(TargetError::Connect));
    assert_eq!(base.on_origin("connect", "a:443"), Err(TargetError::Connect));
}

#[test]
fn no_spelling_of_a_dot_segment_passes() {
    // Every spelling of a dot, as it is and encoded once, twice and three times.
    let dots = [".", "%2e", "%2E", "%252e", "%252E", "%25252e", "%%32%65"];
    let slashes = ["/", "%2f", "%2F", "%252f"];
    let mut spellings = 0;
    for one in dots {
        for other in dots.iter().copied().chain([""]) {
            for slash in slashes {
                for after in ["", "/", "/x", "?x", ";x", ";x/y", "%3bx", "%2fx"] {
                    for before in ["", "/x", "/x/y"] {
                        let target = format!("{before}{slash}{one}{other}{after}");
                        let target = if target.starts_with('/') { target } else { format!("/x{target}") };
                        let found = on("/a", &target);
                        let refused = matches!(found, Err(TargetError::DotSegment | TargetError::Encoding));
                        assert!(refused, "{target}: {found:?}");
                        spellings += 1;
                    }
                }
            }
        }
    }
    assert_eq!(spellings, 7 * 8 * 4 * 8 * 3);
}

#[test]
fn empty_segments_backslashes_and_controls_are_refused_in_every_spelling() {
    for target in ["//", "//evil.example/", "/a//b", "/a/%2fb", "/a%2f/b", "/a%252f%252fb", "/%2F%2F"] {
        assert_eq!(on("/a", target), Err(TargetError::EmptySegment), "{target}");
    }
    for target in ["/\\", "/a\\..\\b", "/%5c", "/a%5C..", "/%255c"] {
        assert_eq!(on("/a", target), Err(TargetError::Backslash), "{target}");
    }
    for byte in (0..=0x20).chain([0x7f]) {
        let raw = format!("/a{}b", char::from(byte));
        assert_eq!(on("/a", &raw), Err(TargetError::Character), "{byte}");
        let query = format!("/a?x={}b", char::from(byte));
        assert_eq!(on("/a", &query), Err(TargetError::Character), "{byte}");
        for encoded in [format!("/a%{byte:02x}b"), format!("/a%25{byte:02X}b")] {
            // An encoded space is a character like any other.
            let expected = if byte == 0x20 { None } else { Some(TargetError::Character) };
            assert_eq!(on("/a", &encoded).err(), expected, "{encoded}");
        }
    }
    assert_eq!(on("/a", "/ä"), Err(TargetError::Character));
    assert_eq!(on("/a", "/a#b"), Err(TargetError::Fragment));
    assert_eq!(on("/a", "/a?b#c"), Err(TargetError::Fragment));
    for target in ["/%", "/%2", "/%zz", "/%%", "/%25", "/a?%", "/a?x=%g0", "/%u002e"] {
        assert_eq!(on("/a", target), Err(TargetError::Encoding), "{target}");
    }
    assert_eq!(on("/a", &format!("/%{}41", "25".repeat(9))), Err(TargetError::Encoding));
}

#[test]
fn targets_over_8_kib_are_refused() {
    let longest = format!("/{}", "x".repeat(TARGET_BYTES_MAX - 1));
    assert!(on("/a", &longest).is_ok());
    assert_eq!(on("/a", &(longest + "x")), Err(TargetError::TooLong { found: TARGET_BYTES_MAX + 1 }));
}

#[test]
fn a_request_cannot_set_a_parameter_of_the_exposed_url_anew() {
    let own = Some("assistant_id=7&x");
    for asked in [
        "assistant_id=8",
        "a=1&assistant_id=8",
        "a;assistant_id=8",
        "a?assistant_id=8",
        "ASSISTANT_ID=8",
        "assistant%5Fid=8",
        "assistant%255fid=8",
        "assistant_id[]=8",
        "assistant_id%5b0%5d=8",
        "assistant_id.a=8",
        " x=8",
        "x",
    ] {
        assert_eq!(join_queries(own, Some(asked)), Err(TargetError::Parameter), "{asked}");
    }
    assert_eq!(join_queries(own, Some("%2525252541=1")).err(), Some(TargetError::Encoding));
    let joined = join_queries(own, Some("id=8&y=assistant_id")).unwrap();
    assert_eq!(joined.as_deref(), Some("assistant_id=7&x&id=8&y=assistant_id"));
    assert_eq!(join_queries(own, None), Ok(own.map(str::to_owned)));
    assert_eq!(join_queries(None, Some("a=1&a=2")).unwrap().as_deref(), Some("a=1&a=2"));
    assert_eq!(join_queries(None, None), Ok(None));
}

proptest! {
    /// Whatever passes means the same to a URL parser, below the base.
    #[test]
    fn what_passes_stays_below_the_base(target in "/[./%25eEfFcC;a?\\\\]{0,12}") {
        if let Ok(found) = on("/base", &target) {
            let url = Url::parse(&format!("http://localhost{found}")).unwrap();
            prop_assert!(url.path() == "/base" || url.path().starts_with("/base/"), "{} {}", target, url);
            let path = found.split('?').next().unwrap_or_default();
            prop_assert_eq!(url.path(), path, "nothing was normalised");
        }
    }
}
