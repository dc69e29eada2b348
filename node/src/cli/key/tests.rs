use std::os::unix::fs::PermissionsExt;

use althing_keystore::{Deal, Dealer, Share, ShareError};
use althing_record::{AgentKey, Digest, Millis};

use super::files::{shares, text, write};

fn dealt() -> Vec<Share> {
    let key = AgentKey::from_seed(&[1; 32]);
    let dealer = Dealer { key: &key, recovery_key_hash: Digest([0; 32]), made: Millis(1_795_185_518_557) };
    dealer.signing(Deal::new(2, 3).unwrap()).unwrap()
}

#[test]
fn a_file_may_hold_several_shares_broken_over_lines() {
    let dealt = dealt();
    let mut all = String::new();
    for share in &dealt {
        for line in text(share).lines() {
            if line.starts_with('#') {
                all.push_str(&format!("{line}\n"));
            } else {
                let (first, rest) = line.split_at(100);
                all.push_str(&format!("{first}\r\n    {rest}\r\n"));
            }
        }
    }
    let found = shares("x", all.as_bytes());
    let numbers: Vec<u8> = found.iter().map(|found| found.share.as_ref().unwrap().index()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(found[0].place, "x, line 4");
    // Without lines for people between them, too.
    let bare: String = dealt.iter().map(|share| format!("{}\n", *share.to_text())).collect();
    assert_eq!(shares("x", bare.as_bytes()).len(), 3);
    assert_eq!(shares("x", text(&dealt[0]).as_bytes())[0].place, "x");
}

#[test]
fn what_holds_no_share_says_so() {
    for bytes in [&b""[..], b"# only for people\n", b"\xff\xfe", b"some other file\n"] {
        let found = shares("x", bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].share.as_ref().unwrap_err(), &ShareError::NotAShare);
    }
}

#[test]
fn shares_are_written_private_and_all_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("new");
    let paths = write(&to, &dealt()).unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o700);
    for path in &paths {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::remove_file(&paths[0]).unwrap();
    std::fs::remove_file(&paths[2]).unwrap();
    let kept = std::fs::read(&paths[1]).unwrap();
    let refused = write(&to, &dealt()).unwrap_err();
    assert!(refused.cause().contains("share-2-of-3.txt"), "{}", refused.cause());
    assert!(!paths[0].exists() && !paths[2].exists(), "nothing half done is left");
    assert_eq!(std::fs::read(&paths[1]).unwrap(), kept);
}
