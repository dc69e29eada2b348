use althing_ballot::{Rule, Voter};
use althing_engine::{
    Ask, Decided, Find, GroupAsk, HoldersDraft, ProposalDraft, Q32, RefusalKind, ReputationAsk, Said,
};
use althing_gateway::api::{
    AgentReach, AttestationsQuery, BallotRequest, DecisionsQuery, Direction, DocketsQuery, FindQuery,
    FoundGroupRequest, GroupChange, GroupChangeRequest, GroupVoteRequest, GroupsQuery, HealthState,
    JoiningRequest, ListQuery, Newcomers, ProblemKind, ProposeRequest, RankingQuery, RateRequest,
    ResolveRequest, Source, VoteState, VotesQuery,
};
use althing_gateway::{Client, ClientError, DoorRequest};
use althing_record::{Change, GroupId};

use crate::samples::{BALLOT, CARD, CARD_JSON, CERTIFICATE, GROUP, HOSTED, NOON, NOON_TEXT, OTHER, PROPOSAL};
use crate::scripted::{Node, Script, private_dir};

#[tokio::test]
async fn status_and_peers_round_trip() {
    let node = Node::start().await;
    let client = node.client().await;
    let status = client.status().await.unwrap();
    assert_eq!(status.schema, "althing.status/v1");
    assert_eq!(status.agents, [HOSTED.to_string()]);
    assert_eq!(status.listen, ["/ip4/127.0.0.1/tcp/4001"]);
    assert_eq!(status.api, format!("http://{}", node.running.address()));
    assert_eq!((status.last_sync.as_deref(), status.last_sync_ms), (Some(NOON_TEXT), Some(NOON.0)));
    assert_eq!(status.domains[0].digest, "06".repeat(32));
    assert!(status.ready);

    let peers = client.peers().await.unwrap();
    assert_eq!(peers.schema, "althing.peers/v1");
    assert_eq!(peers.peers[0].direction, Direction::Inbound);
    assert_eq!(peers.peers[0].connected.as_deref(), Some(NOON_TEXT));
}

#[tokio::test]
async fn probes_round_trip() {
    let node = Node::start().await;
    let client = node.client().await;
    assert_eq!(client.live().await.unwrap().state, HealthState::Ok);
    assert_eq!(client.ready().await.unwrap().state, HealthState::Ok);
    let health = client.health().await.unwrap();
    assert_eq!((health.state, health.protocols[0].name.as_str()), (HealthState::Ok, "kademlia"));
    assert_eq!(client.metrics().await.unwrap(), "# EOF\n");
    assert_eq!(client.openapi().await.unwrap()["openapi"], "3.1.0");

    *node.missing.lock().unwrap() = vec!["a first round of sync".into()];
    let ready = client.ready().await.unwrap();
    assert_eq!(
        (ready.state, ready.waiting_for),
        (HealthState::Waiting, vec!["a first round of sync".into()])
    );
}

#[tokio::test]
async fn card_bytes_reach_the_node_unchanged() {
    let node = Node::start().await;
    let client = node.client().await;
    let published = client.publish_card(CARD_JSON.as_bytes(), Some(&OTHER.to_string())).await.unwrap();
    assert_eq!((published.agent, published.card), (OTHER.to_string(), CARD.to_string()));
    assert_eq!((published.expires.as_str(), published.expires_ms), (NOON_TEXT, NOON.0));
    assert_eq!(node.last_ask(), Ask::PublishCard { agent: OTHER, json: CARD_JSON.into() });

    let published = client.publish_card(CARD_JSON.as_bytes(), None).await.unwrap();
    assert_eq!(published.agent, HOSTED.to_string(), "the default agent");

    let card = client.card(&OTHER.to_string()).await.unwrap();
    assert_eq!(node.last_ask(), Ask::Card { agent: OTHER });
    assert_eq!(card.json, CARD_JSON);
    assert_eq!(card.a2a["name"], "Tolk");
    assert_eq!(card.envelope, "d284");
    assert_eq!(card.leases[0].expires_ms, NOON.0);
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_its_place_and_a_hint() {
    let node = Node::start().await;
    let client = node.client().await;
    for (query, detail, hint, column) in [
        (
            FindQuery { q: Some("tag:a AND skil:b".into()), ..FindQuery::default() },
            "\"skil\"",
            "skill:",
            Some(11),
        ),
        (FindQuery::default(), "found neither", "?q=", None),
    ] {
        let Err(ClientError::Problem(problem)) = client.find(&query).await else { panic!("{query:?}") };
        assert_eq!(problem.kind(), Some(ProblemKind::Invalid));
        assert!(problem.detail.contains(detail), "{problem:?}");
        assert!(problem.hint.as_deref().is_some_and(|text| text.contains(hint)), "{problem:?}");
        assert_eq!(problem.column, column);
    }
    let both =
        FindQuery { q: Some("tag:a OR tag:b".into()), skill: Some("C".into()), ..FindQuery::default() };
    assert_eq!(client.find(&both).await.unwrap().query, "(tag:a OR tag:b) AND skill:c");
}

#[tokio::test]
async fn only_healthy_agents_are_in_an_answer_that_asks_for_them() {
    let node = Node::start().await;
    let client = node.client().await;
    let query =
        |healthy| FindQuery { q: Some("tag:a".into()), healthy: Some(healthy), ..FindQuery::default() };
    let mut card = crate::samples::card();
    // Another one than the peer that is connected.
    card.leases[0].node.0[0] = 8;
    let silent = althing_engine::FoundAgent {
        card,
        from_lookup: false,
        reached: althing_engine::Reached::Silent,
        standing: None,
    };
    let found = althing_engine::Found { agents: vec![silent], ..althing_engine::Found::default() };
    node.play(Script::Say(althing_engine::Answer::Found(found)));
    let all = client.find(&query(false)).await.unwrap();
    assert_eq!(all.agents.iter().map(|agent| agent.reach).collect::<Vec<_>>(), [AgentReach::Unreachable]);
    assert!(client.find(&query(true)).await.unwrap().agents.is_empty());
    node.play(Script::Answer);
    assert_eq!(client.find(&query(true)).await.unwrap().agents.len(), 1);
}

#[tokio::test]
async fn reputations_and_ratings_round_trip() {
    let node = Node::start().await;
    let client = node.client().await;
    let shown = client.reputation(&OTHER.to_string()).await.unwrap();
    assert_eq!(node.last_ask(), Ask::Reputation(ReputationAsk::Show { agent: OTHER }));
    let seen = shown.seen.unwrap();
    assert_eq!((seen.service, seen.composite, seen.evidence, shown.epoch), (499, 249, 3_000, Some(7)));
    let there = shown.checkpoint.unwrap();
    assert_eq!((there.epoch, there.scores.unwrap().service, shown.ledger), (6, 499, true));
    let query = RankingQuery { skill: Some("text".into()), limit: Some(5) };
    let ranking = client.ranking(&query).await.unwrap();
    let skill = Some("text".parse().unwrap());
    assert_eq!(node.last_ask(), Ask::Reputation(ReputationAsk::Top { skill, limit: 5 }));
    assert_eq!(ranking.agents[0].agent, OTHER.to_string());
    let page = client.attestations(&AttestationsQuery::default()).await.unwrap();
    assert_eq!((page.rows[0].count, page.rows[0].ok, page.rows[0].quality_sum), (3, 2, 190));
    let _ = client.attestations(&AttestationsQuery { after: page.next }).await.unwrap();
    let after = Some(b"next".to_vec());
    assert_eq!(node.last_ask(), Ask::Reputation(ReputationAsk::Rows { after }));
    let task = "07".repeat(16);
    let of = |quality: u8, comment: &str| RateRequest { quality, comment: Some(comment.to_owned()) };
    let rated = client.rate(&task, &of(100, "good: né")).await.unwrap();
    assert_eq!((rated.task, rated.quality, rated.comment), (task.clone(), 100, Some("good: né".to_owned())));
    for (wrong, why) in [
        (of(101, ""), "quality"),
        (of(9, "a\u{1b}b"), "control characters"),
        (of(9, &"x".repeat(513)), "at most 512 bytes, found 513"),
    ] {
        let error = client.rate(&task, &wrong).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let found =
        |min_score| FindQuery { q: Some("tag:a".into()), min_score: Some(min_score), ..FindQuery::default() };
    assert_eq!(client.find(&found(499)).await.unwrap().agents.len(), 1);
    assert!(client.find(&found(500)).await.unwrap().agents.is_empty());
    // It has three rated calls: enough to be none.
    for (newcomers, count) in [(Newcomers::With, 1), (Newcomers::Without, 1), (Newcomers::Only, 0)] {
        let query = FindQuery { newcomers: Some(newcomers), ..found(0) };
        assert_eq!(client.find(&query).await.unwrap().agents.len(), count, "{newcomers}");
    }
}

#[tokio::test]
async fn an_explanation_says_what_a_score_rests_on_and_what_follows_from_it() {
    let node = Node::start().await;
    let client = node.client().await;
    let found = client.explanation(&OTHER.to_string()).await.unwrap();
    let goal = Q32((400 << 32) / 1_000);
    let asked =
        node.asks.lock().unwrap().contains(&Ask::Reputation(ReputationAsk::Grounds { agent: OTHER, goal }));
    assert!(asked, "the goal is the least score of the router");
    assert_eq!((found.reputation.agent, found.reputation.raters_known), (OTHER.to_string(), 0));
    let ratings: Vec<_> = found.ratings.iter().map(|one| (one.counts, one.struck_by.clone())).collect();
    assert_eq!(ratings, [(true, None), (false, Some(BALLOT.to_string()))]);
    assert_eq!((found.ratings[0].row.count, &*found.ratings[0].row.record), (3, &*CARD.to_string()));
    assert_eq!((found.calls[0].comment.as_deref(), found.calls[0].published), (Some("slow"), Some(false)));
    let said = found.changes.join("\n");
    for part in [
        &*format!("evidence {} (double accept) sets its score to 0", "07".repeat(32)),
        "nobody has rated it",
        "3 more good calls of this node",
        &format!("1 row struck out by checkpoint {BALLOT}"),
        "1 are not published",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let skills: Vec<_> = found.skills.iter().map(|of| (&*of.skill, &*of.reason, of.may_be_chosen)).collect();
    assert_eq!(skills, [("text/translate", "absent", false)], "its card leads nowhere");
}

#[tokio::test]
async fn checkpoints_of_the_ratings_round_trip() {
    let node = Node::start().await;
    let client = node.client().await;
    let listed = client.score_checkpoints(&ListQuery { limit: Some(3) }).await.unwrap();
    assert_eq!(node.last_ask(), Ask::Reputation(ReputationAsk::Checkpoints { limit: 3 }));
    let one = &listed.checkpoints[0];
    assert_eq!((one.epoch, one.taken, one.agents, one.unproved, one.agrees), (7, 12, 3, 1, Some(true)));
    let shown = client.score_checkpoint(&one.checkpoint).await.unwrap();
    let id = one.checkpoint.parse().unwrap();
    assert_eq!(node.last_ask(), Ask::Reputation(ReputationAsk::Checkpoint { id }));
    assert_eq!((shown.slashed, shown.unproved[0].row), (vec![HOSTED.to_string()], 2));
    assert_eq!(shown.score_root, "04".repeat(32));
}

#[tokio::test]
async fn a_retraction_round_trips() {
    let node = Node::start().await;
    let retracted = node.client().await.retract_card(&HOSTED.to_string()).await.unwrap();
    assert_eq!(node.last_ask(), Ask::RetractCard { agent: HOSTED });
    assert_eq!((retracted.revision, retracted.leases_ended), (2, 1));
}

#[tokio::test]
async fn find_round_trips_with_its_completeness() {
    let node = Node::start().await;
    let client = node.client().await;
    let query = FindQuery {
        skill: Some("text/translate&x".into()),
        limit: Some(5),
        live: Some(true),
        ..FindQuery::default()
    };
    let find = client.find(&query).await.unwrap();
    let asked = |skill: &str, limit, live| {
        let query = format!("skill:{skill}").parse().unwrap();
        Ask::Find(Find { query, limit, after: None, live })
    };
    assert_eq!(node.last_ask(), asked("text/translate-x", 5, true));
    assert_eq!((find.live, find.complete, find.providers_silent), (true, false, 1));
    let agent = &find.agents[0];
    assert_eq!((agent.name.as_str(), agent.description.as_str()), ("Tolk", "ísl."));
    assert_eq!(agent.source, Source::Lookup);
    client.find(&FindQuery { skill: Some("text".into()), ..FindQuery::default() }).await.unwrap();
    assert_eq!(node.last_ask(), asked("text", 100, false));
}

#[tokio::test]
async fn a_group_round_trips() {
    let node = Node::start().await;
    let client = node.client().await;
    let request = FoundGroupRequest {
        name: "translators".into(),
        members: vec![OTHER.to_string()],
        ..FoundGroupRequest::default()
    };
    let founded = client.found_group(&request).await.unwrap();
    assert_eq!((founded.summary.group, founded.record), (GROUP.to_string(), Some(CARD.to_string())));
    let ask = GroupAsk::Found { agent: HOSTED, name: "translators".into(), members: vec![OTHER] };
    assert_eq!(node.last_ask(), Ask::Group(ask));

    let id = GROUP.to_string();
    let change = GroupChangeRequest { change: GroupChange::Promote, about: OTHER.to_string(), agent: None };
    client.change_group(&id, &change).await.unwrap();
    let ask = GroupAsk::Change { agent: HOSTED, group: GROUP, change: Change::Promote(OTHER) };
    assert_eq!(node.last_ask(), Ask::Group(ask));

    // A vote that is not decided is put and the ballot cast; the same wish for what was decided makes the change.
    let vote = GroupVoteRequest {
        change: GroupChange::Remove,
        about: OTHER.to_string(),
        window_ms: Some(5_000),
        agent: None,
    };
    let put = client.vote_on_group(&id, &vote).await.unwrap();
    assert_eq!((put.proposal, put.proposer), (Some(PROPOSAL.to_string()), Some(HOSTED.to_string())));
    assert!(put.new && put.ballot.is_some() && put.record.is_none());
    let choice = Said::Option("yes".to_owned());
    assert_eq!(node.last_ask(), Ask::Cast { agent: HOSTED, proposal: PROPOSAL, choice });
    let vote = GroupVoteRequest { change: GroupChange::Demote, ..vote };
    let made = client.vote_on_group(&id, &vote).await.unwrap();
    assert_eq!((made.record, made.proposal, made.new), (Some(CARD.to_string()), None, false));
    let change = Change::Demote(OTHER);
    let ask = GroupAsk::Vote { agent: HOSTED, group: GROUP, change, window_ms: 5_000 };
    assert_eq!(node.last_ask(), Ask::Group(ask));

    let leave = JoiningRequest { leave: true, agent: Some(OTHER.to_string()) };
    client.join_group(&id, &leave).await.unwrap();
    assert_eq!(node.last_ask(), Ask::Group(GroupAsk::Join { agent: OTHER, group: GROUP, leaves: true }));

    let resolve = ResolveRequest { keep: CARD.to_string(), ..ResolveRequest::default() };
    let resolution = client.resolve_group(&id, &resolve).await.unwrap();
    assert_eq!((resolution.keep, resolution.proposal), (CARD.to_string(), PROPOSAL.to_string()));
    let choice = Said::Option(CARD.to_string());
    assert_eq!(node.last_ask(), Ask::Cast { agent: HOSTED, proposal: PROPOSAL, choice });

    let group = client.group(&id).await.unwrap();
    assert_eq!(group.summary.settled[0].by, PROPOSAL.to_string());
    assert_eq!((group.summary.size, group.members[1].role.as_str()), (2, "admin"));
    assert!(group.invited[0].joining && group.record.is_none());
    let groups = client.groups(&GroupsQuery { all: Some(true) }).await.unwrap();
    assert_eq!(groups.groups, [group.summary]);
    assert_eq!(node.last_ask(), Ask::Group(GroupAsk::List { all: true }));

    let request = ProposeRequest { group: Some(id), method: "majority".into(), ..ProposeRequest::default() };
    assert_eq!(request.draft().unwrap().group, Some(GROUP));
    let both = ProposeRequest { voters: vec![OTHER.to_string()], ..request.clone() };
    assert_eq!(
        both.draft().unwrap_err().to_string(),
        "several electorates are named: voters, a group or a skill"
    );
    let skilled = ProposeRequest {
        group: None,
        skill: Some("text/translate".into()),
        min_score: Some(400),
        ..request.clone()
    };
    let draft = skilled.draft().unwrap();
    let skill = "text/translate".parse().unwrap();
    assert_eq!(draft.holders, Some(HoldersDraft { skill, score_min: 400 }));
    assert!(
        draft.closed.is_some_and(|terms| terms.by_committee),
        "the committee closes it without being told"
    );
    assert!(ProposeRequest { group: request.group.clone(), ..skilled.clone() }.draft().is_err());
    let bare = ProposeRequest { skill: None, ..skilled.clone() };
    assert!(bare.draft().unwrap_err().to_string().contains("no skill"));
    let proposed = client.propose(&skilled).await.unwrap();
    assert_eq!(proposed.proposal, PROPOSAL.to_string());
    let shown = client.vote(&PROPOSAL.to_string()).await.unwrap().holders.unwrap();
    assert_eq!((shown.rating_epoch, shown.capped[0].mass), (7, 9));
    let check = shown.check.unwrap();
    assert!(!check.agrees && check.differing[0].here == 3 && check.left_out == [OTHER.to_string()]);
    let wrong = ProposeRequest { group: Some("translators".into()), ..request };
    assert!(client.propose(&wrong).await.unwrap_err().to_string().contains("group: "));
}

#[tokio::test]
async fn a_vote_round_trips() {
    let node = Node::start().await;
    let client = node.client().await;
    let request = ProposeRequest {
        question: "merge PR 12?".into(),
        voters: vec![HOSTED.to_string(), OTHER.to_string()],
        method: "supermajority=3/4".into(),
        ..ProposeRequest::default()
    };
    let proposed = client.propose(&request).await.unwrap();
    assert_eq!((proposed.proposal, proposed.agent), (PROPOSAL.to_string(), HOSTED.to_string()));
    let draft = ProposalDraft {
        subject: None,
        pardon: None,
        group: None,
        holders: None,
        question: "merge PR 12?".into(),
        options: Vec::new(),
        voters: [HOSTED, OTHER].map(|agent| Voter { agent, weight: 1 }).to_vec(),
        rule: Rule::SuperMajority { num: 3, den: 4 },
        closed: None,
        window_ms: 3_600_000,
    };
    assert_eq!(node.last_ask(), Ask::Propose { agent: HOSTED, draft });

    let id = PROPOSAL.to_string();
    let ballot =
        BallotRequest { choice: "yes".into(), agent: Some(OTHER.to_string()), ..BallotRequest::default() };
    let cast = client.cast(&id, &ballot).await.unwrap();
    assert_eq!((cast.ballot, cast.agent, cast.repeated), (BALLOT.to_string(), OTHER.to_string(), false));
    let choice = Said::Option("yes".into());
    assert_eq!(node.last_ask(), Ask::Cast { agent: OTHER, proposal: PROPOSAL, choice });

    let vote = client.vote(&id).await.unwrap();
    assert_eq!((vote.summary.state, vote.summary.decided.as_deref()), (VoteState::Decided, Some("yes")));
    assert_eq!((vote.summary.electorate, vote.summary.voted, vote.voters.len()), (2, 1, 2));

    let query = VotesQuery { limit: Some(1), after: Some(id.clone()), group: Some("ab".repeat(32)) };
    let votes = client.votes(&query).await.unwrap();
    assert_eq!((votes.total, votes.votes.len(), votes.next), (2, 1, Some(id.clone())));
    assert_eq!(votes.votes[0], vote.summary);
    let group = Some(GroupId([0xab; 32]));
    assert_eq!(node.last_ask(), Ask::Votes { after: Some(PROPOSAL), group, limit: 1 });

    assert_eq!(client.certificate(&id).await.unwrap(), CERTIFICATE);
    let evidence = client.evidence(&ListQuery::default()).await.unwrap();
    assert_eq!(evidence.evidence[0].records, [CARD.to_string(), BALLOT.to_string()]);
}

#[tokio::test]
async fn shutdown_reaches_the_node() {
    let node = Node::start().await;
    let stopping = node.client().await.shutdown().await.unwrap();
    assert_eq!(stopping.pid, std::process::id());
    node.shutdown.notified().await;
}

#[tokio::test]
async fn an_unknown_method_is_refused_with_the_known_ones_and_a_way_out() {
    let node = Node::start().await;
    let request = ProposeRequest { method: "borda".into(), ..ProposeRequest::default() };
    let Err(ClientError::Problem(problem)) = node.client().await.propose(&request).await else { panic!() };
    assert_eq!(problem.kind(), Some(ProblemKind::Invalid));
    assert!(problem.detail.contains("schulze"), "{}", problem.detail);
    assert!(problem.hint.unwrap().contains("supermajority"));
    assert!(node.asks.lock().unwrap().is_empty());
}

#[tokio::test]
async fn refusals_of_the_node_reach_the_client() {
    let node = Node::start().await;
    let client = node.client().await;
    for (kind, problem_kind, status) in [
        (RefusalKind::Invalid, ProblemKind::Invalid, 400),
        (RefusalKind::NotFound, ProblemKind::NotFound, 404),
        (RefusalKind::Conflict, ProblemKind::Conflict, 409),
        (RefusalKind::NotReady, ProblemKind::NotReady, 409),
        (RefusalKind::SigningStopped, ProblemKind::SigningStopped, 503),
        (RefusalKind::Busy, ProblemKind::Busy, 503),
        (RefusalKind::Timeout, ProblemKind::Timeout, 504),
        (RefusalKind::Internal, ProblemKind::Internal, 500),
    ] {
        node.play(Script::Refuse(kind));
        let Err(ClientError::Problem(problem)) = client.status().await else { panic!() };
        assert_eq!((problem.kind(), problem.status), (Some(problem_kind), status));
        assert_eq!(problem.detail, "the script refuses");
        assert_eq!(problem.hint.as_deref(), Some("change the script"));
        assert_eq!(problem.instance.as_deref(), Some("/v1/status"));
    }
}

#[tokio::test]
async fn tcp_is_used_where_there_is_no_socket() {
    let node = Node::start().await;
    std::fs::remove_file(node.running.socket()).unwrap();
    assert!(node.client().await.status().await.is_ok());
}

#[tokio::test]
async fn a_stranger_on_the_old_port_does_not_get_the_token() {
    // Another node with another token stands for the stranger.
    let (node, stranger) = (Node::start().await, Node::start().await);
    std::fs::remove_file(node.running.socket()).unwrap();
    let address = stranger.running.address().to_string();
    std::fs::write(node.home.path().join("api.addr"), &address).unwrap();
    let Err(ClientError::Unreachable { address: found, cause }) = Client::connect(node.home.path()).await
    else {
        panic!()
    };
    assert_eq!(found, address);
    assert!(cause.to_string().contains("out of date"));
}

#[tokio::test]
async fn an_address_file_cannot_send_the_token_elsewhere() {
    let node = Node::start().await;
    std::fs::remove_file(node.running.socket()).unwrap();
    for text in ["192.0.2.1:80", "example.org:80", ""] {
        std::fs::write(node.home.path().join("api.addr"), text).unwrap();
        let error = Client::connect(node.home.path()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn no_node_is_named_as_such() {
    let home = private_dir();
    let never = Client::connect(home.path()).await.unwrap_err();
    assert!(matches!(never, ClientError::NotRunning { .. }), "{never}");
    assert!(never.hint().unwrap().contains("althing up"));

    let node = Node::start().await;
    let client = node.client().await;
    let Node { home, running, .. } = node;
    running.stop().await;
    let stopped = client.status().await.unwrap_err();
    assert!(matches!(stopped, ClientError::NotRunning { .. }), "{stopped}");
    let connected = Client::connect(home.path()).await.unwrap_err();
    assert!(matches!(connected, ClientError::NotRunning { .. }), "{connected}");
}

#[tokio::test]
async fn a_changed_token_is_an_auth_error() {
    let node = Node::start().await;
    let token = node.home.path().join("api.token");
    std::fs::write(&token, "0".repeat(64)).unwrap();
    let error = node.client().await.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Auth { .. }), "{error}");
    std::fs::write(&token, "not a token").unwrap();
    let error = Client::connect(node.home.path()).await.unwrap_err();
    assert!(matches!(error, ClientError::Auth { hint: Some(_), .. }), "{error}");
}

#[tokio::test]
async fn the_store_is_read_and_written_in_pieces() {
    let node = Node::start().await;
    let client = node.client().await;
    let checkpoint = client.checkpoint().await.unwrap();
    let (name, bytes) = crate::scripted::FILE;
    assert_eq!((checkpoint.files[0].name.as_str(), checkpoint.files[0].bytes), (name, bytes.len() as u64));
    assert_eq!(client.checkpoint_piece(name, 9).await.unwrap(), &bytes[9..]);
    assert!(client.checkpoint_piece(name, 1_000).await.unwrap().is_empty());
    client.release_checkpoint().await.unwrap();

    let page = client.records(Some("card"), b"from").await.unwrap();
    assert_eq!((page.next.as_deref(), page.records.len()), (Some(&b"next"[..]), 0));
    let error = client.records(Some("curd"), b"").await.unwrap_err();
    assert!(error.to_string().contains("BallotBatch"), "{error}");

    let imported = client.import(&[b"no record"]).await.unwrap();
    assert_eq!(imported.records[0].outcome, althing_gateway::api::ImportOutcome::Wrong);
    assert!(imported.records[0].cause.is_some() && imported.records[0].kind.is_none());
    let many = vec![[0_u8]; 129];
    assert!(client.import(&many).await.unwrap_err().to_string().contains("at most 128"));

    assert_eq!(client.compact().await.unwrap().bytes_before, 9);
    assert_eq!(client.compaction().await.unwrap().bytes_after, 4);
}

#[tokio::test]
async fn a_door_is_asked_for_its_own_paths_alone() {
    let node = Node::start().await;
    let client = node.client().await;
    // The API is not reached past its token.
    for path in ["/v1/status", "a2a/agents/x/", "", "/"] {
        let refused = client.door(DoorRequest::get(path)).await.unwrap_err();
        assert!(matches!(refused, ClientError::Protocol(_)), "{path}: {refused}");
    }
    assert!(DoorRequest::get("/a2a/agents/x/").header("x y", "z").is_err());
    assert!(DoorRequest::get("/a2a/agents/x/").header("x", "y\r\nz: 1").is_err());
    let answer = client.door(DoorRequest::post("/a2a/agents/", b"{}".to_vec())).await.unwrap();
    assert_eq!((answer.status(), answer.header("althing-error")), (400, Some("target")));
    assert!(answer.bytes().await.unwrap().starts_with(b"{\"error\""));
}

#[tokio::test]
async fn decisions_are_asked_for_and_told_page_by_page() {
    let node = Node::start().await;
    let client = node.client().await;
    let after = format!("{PROPOSAL}/6");
    let query = DecisionsQuery { after: Some(after), limit: Some(3), ..DecisionsQuery::default() };
    let page = client.decisions(&query).await.unwrap();
    let after = Some(Decided { id: PROPOSAL, question: Some(6) });
    assert_eq!(node.last_ask(), Ask::Decisions { after, group: None, limit: 3 });
    assert_eq!(page.next, Some(format!("{PROPOSAL}/7")));
    let decision = &page.decisions[0];
    assert_eq!((decision.number, decision.decided.as_deref()), (Some(7), Some("yes")));

    let wrong = DecisionsQuery { after: Some("5f0c".into()), ..DecisionsQuery::default() };
    let refused = client.decisions(&wrong).await.unwrap_err();
    assert!(refused.to_string().contains("found \"5f0c\""), "{refused}");

    let dockets = client.dockets(&DocketsQuery { limit: Some(1), after: Some(PROPOSAL.to_string()) }).await;
    assert_eq!(dockets.unwrap().total, 1);
    assert_eq!(node.last_ask(), Ask::Dockets { after: Some(PROPOSAL), limit: 1 });
    assert!(client.dockets(&DocketsQuery { limit: Some(101), after: None }).await.is_err());
}
