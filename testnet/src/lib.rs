//! Local networks of real nodes.
