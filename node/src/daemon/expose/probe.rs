use std::time::Duration;

use althing_engine::{Refusal, RefusalKind};
use althing_tunnel::{full, read};
use http::{Request, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{Source, refuse};

/// How long an agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// Asks for a task that does not exist: a real call that makes the agent do nothing. Gives the time it took in milliseconds.
///
/// # Errors
/// When the agent does not answer as an agent of A2A does.
pub(super) async fn probe(source: &Source) -> Result<u64, Refusal> {
    let Some((method, version, target)) = source.doors.probe() else { return Ok(0) };
    let failed = |cause: String| {
        let hint = "mend the agent, or expose it all the same with --no-probe";
        refuse(RefusalKind::Invalid, format!("{} {cause}", source.shown), Some(hint))
    };
    let body = serde_json::json!({
        "jsonrpc": "2.0", "id": "althing-probe", "method": method, "params": {"id": "althing-probe"}
    });
    let request = Request::post(&target)
        .header("content-type", "application/json")
        .header("a2a-version", version)
        .body(full(body.to_string()))
        .map_err(|error| failed(format!("has an interface that cannot be asked: {error}")))?;
    let began = Instant::now();
    let answer = async {
        let response = source.origin.ask(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let bytes = read(response.into_body(), ANSWER_BYTES_MAX).await;
        Ok::<_, String>((status, bytes.map_err(|error| format!("its answer {error}"))?))
    };
    let (status, bytes) = timeout(ANSWER_WITHIN, answer)
        .await
        .map_err(|_| failed(format!("did not answer a call within {ANSWER_WITHIN:?}")))?
        .map_err(|error| failed(format!("did not answer a call: {error}")))?;
    let document: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let is_rpc = document.get("error").is_some() || document.get("result").is_some();
    // Who wants to be shown a credential first is an agent all right.
    let wants_credentials = status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN;
    if is_rpc || wants_credentials {
        return Ok(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    }
    Err(failed(format!(
        "answered a call for a task with {status} and no JSON-RPC: it is not an A2A agent at {target}"
    )))
}
