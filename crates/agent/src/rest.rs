use a2a::{A2AError, ListTasksRequest};
use althing_tunnel::{Body, full};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::agent::Answer;
use crate::fault::{invalid, status_name};
use crate::operation::{Operation, read};

/// The media type of A2A (section 14.1).
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/a2a+json");

/// A path of HTTP+JSON (A2A, sections 5.3 and 11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Send,
    Stream,
    List,
    Get(&'a str),
    Cancel(&'a str),
    Subscribe(&'a str),
    /// The push configurations of a task, or one of them.
    Push {
        one: bool,
    },
    ExtendedCard,
}

impl<'a> Route<'a> {
    /// The route of a path.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        match path {
            "message:send" => return Some(Self::Send),
            "message:stream" => return Some(Self::Stream),
            "tasks" => return Some(Self::List),
            "extendedAgentCard" => return Some(Self::ExtendedCard),
            _ => {}
        }
        let segments: Vec<_> = path.strip_prefix("tasks/")?.split('/').collect();
        if segments.contains(&"") {
            return None;
        }
        match segments[..] {
            [task] => Some(match task.split_once(':') {
                None => Self::Get(task),
                Some((id, "cancel")) => Self::Cancel(id),
                Some((id, "subscribe")) => Self::Subscribe(id),
                Some(_) => return None,
            }),
            [_, "pushNotificationConfigs"] => Some(Self::Push { one: false }),
            [_, "pushNotificationConfigs", _] => Some(Self::Push { one: true }),
            _ => None,
        }
    }

    /// The methods that it has, as `Allow` lists them. A stream is opened by GET too, as in `a2a.proto`.
    fn methods(self) -> &'static str {
        match self {
            Self::Send | Self::Stream | Self::Cancel(_) => "POST",
            Self::List | Self::Get(_) | Self::ExtendedCard => "GET",
            Self::Subscribe(_) | Self::Push { one: false } => "GET, POST",
            Self::Push { one: true } => "GET, DELETE",
        }
    }

    /// Refuses a method that it does not have.
    pub(crate) fn method_refusal(self, method: &Method) -> Option<Response<Body>> {
        let methods = self.methods();
        (!methods.split(", ").any(|known| method == known)).then(|| {
            let cause = format!("the methods here are {methods}");
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "UNIMPLEMENTED", &cause);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            response
        })
    }

    /// What is asked for.
    pub(crate) fn operation(self, query: Option<&str>, body: &[u8]) -> Result<Operation, A2AError> {
        let id = |id: &str| json!({"id": id});
        Ok(match self {
            Self::Send => Operation::Send(read(document(body)?)?),
            Self::Stream => Operation::Stream(read(document(body)?)?),
            Self::List => Operation::List(list(query)?),
            Self::Get(task) => {
                let mut params = parameters(query)?;
                params.insert("id".to_owned(), task.into());
                Operation::Get(read(Value::Object(params))?)
            }
            Self::Cancel(task) => Operation::Cancel(read(id(task))?),
            Self::Subscribe(task) => Operation::Subscribe(read(id(task))?),
            Self::Push { .. } => Operation::Push,
            Self::ExtendedCard => Operation::ExtendedCard,
        })
    }
}

fn document(body: &[u8]) -> Result<Value, A2AError> {
    serde_json::from_slice(body).map_err(|error| A2AError::parse_error(format!("invalid JSON: {error}")))
}

fn list(query: Option<&str>) -> Result<ListTasksRequest, A2AError> {
    read(Value::Object(parameters(query)?))
}

/// The parameters of a query with the types that they have (A2A, section 11.5).
fn parameters(query: Option<&str>) -> Result<Map<String, Value>, A2AError> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs
        .map(|(name, value)| {
            let value = match &*name {
                "pageSize" | "historyLength" => {
                    Value::from(value.parse::<i32>().map_err(|_| invalid(&name, "must be a whole number"))?)
                }
                "includeArtifacts" => {
                    Value::from(value.parse::<bool>().map_err(|_| invalid(&name, "must be true or false"))?)
                }
                _ => Value::from(value.into_owned()),
            };
            Ok((name.into_owned(), value))
        })
        .collect()
}

/// The answer to a request.
pub(crate) fn answer(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Document(value) => respond(StatusCode::OK, &value),
        Answer::Events(events) => {
            events.into_response(|event| serde_json::to_vec(&event).expect("its keys are texts"))
        }
    }
}

/// What went wrong with a request, as google.rpc.Status (A2A, section 11.6).
pub(crate) fn fault(error: &A2AError) -> Response<Body> {
    let status = StatusCode::from_u16(error.http_status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let details = error.to_jsonrpc_error().data;
    respond(status, &problem(status, status_name(error.code), &error.message, details))
}

/// There is no such path.
pub(crate) fn unknown() -> Response<Body> {
    refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "A2A has nothing at this path")
}

/// What is wrong with a request before it is one of A2A.
pub(crate) fn refusal(status: StatusCode, name: &'static str, cause: &str) -> Response<Body> {
    respond(status, &problem(status, name, cause, None))
}

fn problem(status: StatusCode, name: &str, cause: &str, details: Option<Value>) -> Value {
    let details = details.unwrap_or_else(|| json!([]));
    json!({"error": {"code": status.as_u16(), "status": name, "message": cause, "details": details}})
}

fn respond(status: StatusCode, document: &Value) -> Response<Body> {
    let mut response = Response::new(full(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_a2a_has_a_route_and_no_other_has() {
        for (path, route) in [
            ("/message:send", Route::Send),
            ("/message:stream", Route::Stream),
            ("/tasks", Route::List),
            ("/tasks/7", Route::Get("7")),
            ("/tasks/7:cancel", Route::Cancel("7")),
            ("/tasks/7:subscribe", Route::Subscribe("7")),
            ("/tasks/7/pushNotificationConfigs", Route::Push { one: false }),
            ("/tasks/7/pushNotificationConfigs/8", Route::Push { one: true }),
            ("/extendedAgentCard", Route::ExtendedCard),
        ] {
            assert_eq!(Route::of(path), Some(route), "{path}");
        }
        let others =
            ["", "/", "/message", "/message:send/", "/tasks/", "/tasks/7/", "/tasks/7:stop", "/v1/tasks"];
        for path in others {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_query_gives_parameters_their_types() {
        let query = "contextId=a%20b&pageSize=7&includeArtifacts=true&status=TASK_STATE_WORKING&x=1";
        let asked = list(Some(query)).unwrap();
        assert_eq!((asked.context_id.as_deref(), asked.page_size), (Some("a b"), Some(7)));
        assert_eq!(asked.include_artifacts, Some(true));
        for wrong in ["pageSize=x", "includeArtifacts=1", "status=RUNNING", "statusTimestampAfter=yesterday"]
        {
            assert_eq!(list(Some(wrong)).unwrap_err().code, a2a::error_code::INVALID_PARAMS, "{wrong}");
        }
    }
}
