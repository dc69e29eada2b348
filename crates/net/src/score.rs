use std::time::Duration;

use libp2p::gossipsub::{
    PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, score_parameter_decay,
};

use crate::Profile;

/// What a peer can gain on one topic by staying and by delivering. Three topics stay below [`GAIN_MAX`].
const TOPIC_GAIN_MAX: f64 = 0.8;
/// What a peer can gain at all: too little to pay for an invalid message.
const GAIN_MAX: f64 = 5.0;

/// Three invalid messages on a topic graylist a peer: 3² × -10 + 5 is below -80, 2² × -10 is not. Silence costs nothing,
/// because an honest peer may have nothing to say for hours.
pub(crate) fn params(topics: impl Iterator<Item = TopicHash>, profile: Profile) -> PeerScoreParams {
    PeerScoreParams {
        topics: topics.map(|topic| (topic, topic_params())).collect(),
        topic_score_cap: GAIN_MAX,
        // Its own faults, counted in `Conduct`.
        app_specific_weight: 1.0,
        // One late answer to an IWANT is a slow network, seven are a peer that promises what it does not have.
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(600)),
        ip_colocation_factor_weight: match profile {
            Profile::Default => -5.0,
            Profile::Testnet => 0.0,
        },
        ip_colocation_factor_threshold: 10.0,
        ..PeerScoreParams::default()
    }
}

fn topic_params() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: TOPIC_GAIN_MAX / 3600.0,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 3600.0,
        first_message_deliveries_weight: TOPIC_GAIN_MAX / 100.0,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 100.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(3600)),
        ..TopicScoreParams::default()
    }
}

pub(crate) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -50.0,
        graylist_threshold: -80.0,
        // No peer exchange and no opportunistic grafting: scores say too little about quality for either.
        accept_px_threshold: GAIN_MAX * 2.0,
        opportunistic_graft_threshold: 0.0,
    }
}
