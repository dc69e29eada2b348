//! The local API: HTTP on loopback and a Unix socket, and its client.
