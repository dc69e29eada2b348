//! A disk that fills up and is emptied again, under a running node.

use althing_tests::{Home, Node, SmallDisk, poll, skip};

use crate::commands::TRANSLATOR;

#[test]
fn a_full_disk_stops_writing_only_and_writing_resumes_without_a_restart() {
    let home = Home::new();
    let disk = match SmallDisk::mount(&home.join("disk"), "size=96m") {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let node = Node::up(&disk.path().join("node"), &[]);
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    let before = node.status();

    let filler = disk.path().join("filler");
    let full = std::fs::write(&filler, vec![0; 200 << 20]);
    assert!(full.is_err(), "the disk is full");
    let refused = node.run(&["card", "publish", TRANSLATOR]).expect(1);
    assert!(refused.stderr.contains("disk full") && refused.stderr.contains("hint:"), "{refused:#?}");
    let voters = node.agent();
    let _ =
        node.run(&["vote", "propose", "still there?", "--voters", &voters]).expect(1).says("disk is full");
    assert_eq!(
        node.status()["records"],
        before["records"],
        "reading goes on, and nothing half done is shown"
    );
    assert!(node.run(&["card", "get", &node.agent()]).expect(0).stdout.contains("Babel"));

    std::fs::remove_file(&filler).unwrap();
    poll("writing resumes by itself", || {
        let proposed = node.run(&["vote", "propose", "back?", "--voters", &voters, "--json"]);
        (proposed.code == Some(0)).then_some(())
    });
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    let events = node.run(&["events"]).expect(0).stdout;
    assert_eq!(events.matches("disk.writable").count(), 1, "{events}");
    assert_eq!(events.matches("vote.proposed").count(), 1, "what was refused is not told: {events}");
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
}
