use std::sync::Arc;

use a2a::{StreamResponse, Task};
use althing_tunnel::Body;
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::task_log::TaskLog;

/// A stream of what happens to a task, from some place on: first the task itself, then every event, until it has ended.
#[derive(Debug)]
pub(crate) struct Events {
    log: Arc<TaskLog>,
    task: Option<Box<Task>>,
    next: usize,
}

impl Events {
    /// All that happens to a task.
    pub(crate) fn from_start(log: Arc<TaskLog>) -> Self {
        let task = Some(Box::new(log.first()));
        Self { log, task, next: 0 }
    }

    /// What happens to a task from now on, unless it has ended.
    pub(crate) fn from_now(log: Arc<TaskLog>) -> Option<Self> {
        let (task, next) = log.present()?;
        Some(Self { log, task: Some(Box::new(task)), next })
    }

    async fn next(&mut self) -> Option<StreamResponse> {
        if let Some(task) = self.task.take() {
            return Some(StreamResponse::Task(*task));
        }
        let event = self.log.event(self.next).await?;
        self.next += 1;
        Some(event)
    }

    /// Server-sent events (WHATWG), each with what `data` makes of it on one line.
    pub(crate) fn into_response(
        self,
        data: impl Fn(StreamResponse) -> Vec<u8> + Send + Sync + 'static,
    ) -> Response<Body> {
        let frames = stream::unfold((self, data), |(mut events, data)| async move {
            let event = events.next().await?;
            let mut line = b"data: ".to_vec();
            line.append(&mut data(event));
            line.extend_from_slice(b"\n\n");
            Some((Ok(Frame::data(Bytes::from(line))), (events, data)))
        });
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}
