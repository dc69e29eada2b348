//! The libp2p swarm on one side, engine inputs and outputs on the other.
