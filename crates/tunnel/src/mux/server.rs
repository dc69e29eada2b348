use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::Builder;
use http::Response;

use super::stream::Open;
use super::turn::Turn;
use super::{
    GIVEN_UP_FOR, GIVEN_UP_MAX, HEADERS_BYTES_MAX, MuxStream, SEND_BUFFER, SESSION_WINDOW, STREAM_WINDOW,
};
use crate::dial::BoxIo;

/// Serves a session until it ends: `serve` is given each call, and must not wait.
pub(crate) async fn serve(io: BoxIo, calls_max: u32, mut serve: impl FnMut(MuxStream)) {
    let handshake = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(SESSION_WINDOW)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_streams(calls_max)
        .max_concurrent_reset_streams(GIVEN_UP_MAX)
        .reset_stream_duration(GIVEN_UP_FOR)
        .handshake::<_, Bytes>(io);
    let mut session = match handshake.await {
        Ok(session) => session,
        Err(error) => {
            tracing::debug!(%error, "no session of calls was begun");
            return;
        }
    };
    let open = Arc::new(AtomicUsize::new(0));
    let mut turn = Turn::default();
    let mut next = async || {
        poll_fn(|cx| turn.poll(cx, open.load(Ordering::Relaxed), |cx| session.poll_accept(cx))).await
    };
    while let Some(call) = next().await {
        match call {
            Ok((request, mut respond)) => match respond.send_response(Response::new(()), false) {
                Ok(send) => serve(MuxStream::accepted(send, request.into_body(), Open::new(&open))),
                Err(error) => tracing::debug!(%error, "a call was gone before it began"),
            },
            Err(error) => {
                tracing::debug!(%error, "a session of calls ended");
                return;
            }
        }
    }
}
