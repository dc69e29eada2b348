//! The whole node as one state machine without IO, clock or entropy.
