use althing_gateway::{ClientError, DoorRequest};
use althing_tunnel::{Body, empty, full};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

use crate::cli::args::Secret;
use crate::cli::failure::{Exit, Failure};

/// A request to an agent, through a door or directly.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    target: String,
    headers: Vec<(String, Secret)>,
    json: Vec<u8>,
}

impl Request {
    /// Asks for something.
    pub(super) fn get(target: impl Into<String>) -> Self {
        Self { method: Method::GET, target: target.into(), headers: Vec::new(), json: Vec::new() }
    }

    /// Brings JSON.
    pub(super) fn post(target: impl Into<String>, json: Vec<u8>) -> Self {
        Self { method: Method::POST, target: target.into(), headers: Vec::new(), json }
    }

    /// The same request with one more header.
    pub(super) fn header(mut self, name: &str, value: impl Into<Secret>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Bytes of its body.
    pub(super) fn bytes(&self) -> usize {
        self.json.len()
    }

    /// For a door of the node.
    ///
    /// # Errors
    /// When HTTP does not allow a header.
    pub(super) fn into_door(self) -> Result<DoorRequest, ClientError> {
        let request = if self.method == Method::POST {
            DoorRequest::post(self.target, self.json)
        } else {
            DoorRequest::get(self.target)
        };
        self.headers.iter().try_fold(request, |request, (name, value)| request.header(name, &value.0))
    }

    /// For an agent itself.
    ///
    /// # Errors
    /// When HTTP does not allow the target or a header.
    pub(super) fn into_http(self) -> Result<http::Request<Body>, Failure> {
        let is_post = self.method == Method::POST;
        let mut request = http::Request::builder().method(self.method).uri(self.target);
        if is_post {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in self.headers {
            request = request.header(name, value.0);
        }
        let body = if is_post { full(self.json) } else { empty() };
        // The error names no value.
        request
            .body(body)
            .map_err(|error| Failure::new(Exit::Usage, format!("HTTP does not allow the request: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_request_say_the_same() {
        let asked =
            Request::post("/a2a/agents/x/", b"{}".to_vec()).header("authorization", "Bearer x".to_owned());
        let http = asked.into_http().unwrap();
        assert_eq!((http.method(), http.uri().path()), (&Method::POST, "/a2a/agents/x/"));
        assert_eq!(http.headers()["authorization"], "Bearer x");
        assert_eq!(http.headers()["content-type"], "application/json");
        assert!(Request::get("/").header("x", "y\r\nz: 1".to_owned()).into_http().is_err());
        assert!(Request::get("/").header("x", "y\r\nz: 1".to_owned()).into_door().is_err());
    }
}
