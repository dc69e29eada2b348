//! Builders and badly behaved authors for tests.
