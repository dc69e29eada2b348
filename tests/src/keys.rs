use std::fs;
use std::path::Path;

use crate::Node;

/// A home with nothing but keys in it, and its agent: that can be named in a genesis before there is a node.
///
/// # Panics
/// When the node does not start, or the home cannot be emptied.
#[must_use]
pub fn keys(home: &Path) -> String {
    let node = Node::up(home, &[]);
    let did = node.agent();
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
    for entry in fs::read_dir(home).expect("a home can be emptied") {
        let entry = entry.expect("a home can be emptied");
        let name = entry.file_name();
        if name == "keys" || name == "recovery" {
            continue;
        }
        if entry.file_type().expect("a home can be emptied").is_dir() {
            fs::remove_dir_all(entry.path()).expect("a home can be emptied");
        } else {
            fs::remove_file(entry.path()).expect("a home can be emptied");
        }
    }
    did
}
