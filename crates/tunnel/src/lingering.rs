use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::prefixed::Prefixed;

/// How long, and for how many bytes, the other side may take to end what this side has ended.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: usize = 64 * 1_024;

/// Most calls that are waited for at once; of more, the streams are reset.
pub(crate) const LINGERING_MAX: usize = 2_048;

/// The callee's end of a call. It waits for the caller's end when its own is sent: a stream that is dropped before is reset, and
/// what still comes on it counts against the session of all calls.
pub(crate) struct Lingering {
    io: Prefixed,
    is_shut: bool,
    passed_over: usize,
    places: Arc<Semaphore>,
    /// Held while it waits.
    patience: Option<(Pin<Box<Sleep>>, OwnedSemaphorePermit)>,
}

impl Lingering {
    /// `places`: how many may wait.
    pub(crate) fn new(io: Prefixed, places: Arc<Semaphore>) -> Self {
        Self { io, is_shut: false, passed_over: 0, places, patience: None }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.is_shut {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.is_shut = true;
        }
        let mut bytes = [0; 1_024];
        while this.passed_over <= LINGER_BYTES_MAX {
            let mut came = ReadBuf::new(&mut bytes);
            match Pin::new(&mut this.io).poll_read(cx, &mut came) {
                Poll::Ready(Ok(())) if !came.filled().is_empty() => this.passed_over += came.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    let (patience, _) = match &mut this.patience {
                        Some(patience) => patience,
                        none => match Arc::clone(&this.places).try_acquire_owned() {
                            Ok(place) => none.insert((Box::pin(sleep(LINGER)), place)),
                            Err(_) => return Poll::Ready(Ok(())),
                        },
                    };
                    return patience.as_mut().poll(cx).map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, timeout};

    use super::*;

    fn lingering() -> (Lingering, tokio::io::DuplexStream) {
        let (near, far) = duplex(1_024);
        (Lingering::new(Prefixed::new("front", Box::new(far)), Arc::new(Semaphore::new(1))), near)
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_the_other_end_and_not_for_ever() {
        let (mut here, mut there) = lingering();
        let shut = tokio::spawn(async move { here.shutdown().await });
        assert_eq!(there.read(&mut [0; 8]).await.unwrap(), 0, "the end is sent at once");
        tokio::time::advance(LINGER / 2).await;
        assert!(!shut.is_finished());
        there.write_all(b"more").await.unwrap();
        there.shutdown().await.unwrap();
        timeout(LINGER / 4, shut).await.expect("both have ended").unwrap().unwrap();

        let (mut here, _there) = lingering();
        let start = Instant::now();
        here.shutdown().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), LINGER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_on_and_on_is_not_listened_to() {
        let (mut here, mut there) = lingering();
        let sending = tokio::spawn(async move { while there.write_all(&[7; 1_024]).await.is_ok() {} });
        timeout(LINGER / 2, here.shutdown()).await.expect("soon").unwrap();
        drop(here);
        sending.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_there_are_places() {
        let (mut here, _there) = lingering();
        let place = Arc::clone(&here.places).try_acquire_owned().unwrap();
        timeout(LINGER / 2, here.shutdown()).await.expect("at once").unwrap();
        drop(place);
        let (mut here, _there) = lingering();
        let places = Arc::clone(&here.places);
        timeout(LINGER / 2, here.shutdown()).await.unwrap_err();
        assert_eq!(places.available_permits(), 0);
        drop(here);
        assert_eq!(places.available_permits(), 1);
    }
}
