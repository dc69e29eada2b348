use serde::Serialize;

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

impl Check {
    pub(super) fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, state: State::Ok, finding: finding.into(), fix: None }
    }

    pub(super) fn warn(name: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Warn, finding: finding.into(), fix: Some(fix.into()) }
    }

    pub(super) fn fail(name: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Fail, finding: finding.into(), fix: Some(fix.into()) }
    }
}
