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

/// Most calls that are waited for at once, and of one session; of more, the streams are reset.
pub(crate) const LINGERING_MAX: usize = 4_096;
pub(crate) const LINGERING_PER_SESSION_MAX: usize = 512;

/// The places of those that are waited for: a session's, and all.
pub(crate) type Places = [Arc<Semaphore>; 2];

/// The callee's end of a call. It waits for the caller's end when its own is sent: a stream that is dropped before is reset, and
/// what still comes on it counts against the session of all calls.
pub(crate) struct Lingering<H> {
    io: Prefixed,
    /// Let go when this side's end is sent, and with it all that it wrote.
    held: Option<H>,
    passed_over: usize,
    places: Places,
    /// Taken while it waits.
    patience: Option<(Pin<Box<Sleep>>, [OwnedSemaphorePermit; 2])>,
}

impl<H> Lingering<H> {
    pub(crate) fn new(io: Prefixed, places: Places, held: H) -> Self {
        Self { io, held: Some(held), passed_over: 0, places, patience: None }
    }

    fn take_places(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let [one, other] = &self.places;
        Some([Arc::clone(one).try_acquire_owned().ok()?, Arc::clone(other).try_acquire_owned().ok()?])
    }
}

impl<H: Unpin> AsyncRead for Lingering<H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<H: Unpin> AsyncWrite for Lingering<H> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.held.is_some() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.held = None;
        }
        let mut bytes = [0; 1_024];
        while this.passed_over <= LINGER_BYTES_MAX {
            let mut came = ReadBuf::new(&mut bytes);
            match Pin::new(&mut this.io).poll_read(cx, &mut came) {
                Poll::Ready(Ok(())) if !came.filled().is_empty() => this.passed_over += came.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    if this.patience.is_none() {
                        this.patience = this.take_places().map(|places| (Box::pin(sleep(LINGER)), places));
                    }
                    let Some((patience, _)) = &mut this.patience else { return Poll::Ready(Ok(())) };
                    return patience.as_mut().poll(cx).map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, timeout};

    use super::*;

    fn lingering(places: &Places) -> (Lingering<Arc<()>>, DuplexStream) {
        let (near, far) = duplex(1_024);
        (Lingering::new(Prefixed::new("front", Box::new(far)), places.clone(), Arc::default()), near)
    }

    fn places(session: usize, all: usize) -> Places {
        [Arc::new(Semaphore::new(session)), Arc::new(Semaphore::new(all))]
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_the_other_end_and_not_for_ever() {
        let (mut here, mut there) = lingering(&places(1, 1));
        let shut = tokio::spawn(async move { here.shutdown().await });
        assert_eq!(there.read(&mut [0; 8]).await.unwrap(), 0, "the end is sent at once");
        tokio::time::advance(LINGER / 2).await;
        assert!(!shut.is_finished());
        there.write_all(b"more").await.unwrap();
        there.shutdown().await.unwrap();
        timeout(LINGER / 4, shut).await.expect("both have ended").unwrap().unwrap();

        let (mut here, _there) = lingering(&places(1, 1));
        let start = Instant::now();
        here.shutdown().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), LINGER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_on_and_on_is_not_listened_to() {
        let (mut here, mut there) = lingering(&places(1, 1));
        let sending = tokio::spawn(async move { while there.write_all(&[7; 1_024]).await.is_ok() {} });
        timeout(LINGER / 2, here.shutdown()).await.expect("soon").unwrap();
        drop(here);
        sending.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_there_are_places_and_what_is_held_is_not() {
        for places in [places(0, 1), places(1, 0)] {
            let (mut here, _there) = lingering(&places);
            timeout(LINGER / 2, here.shutdown()).await.expect("at once").unwrap();
            assert_eq!(places[0].available_permits() + places[1].available_permits(), 1);
        }
        let places = places(1, 1);
        let (mut here, _there) = lingering(&places);
        let held = here.held.clone().unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        timeout(LINGER / 2, here.shutdown()).await.unwrap_err();
        assert_eq!(Arc::strong_count(&held), 1, "the end is sent");
        assert_eq!(places.each_ref().map(|places| places.available_permits()), [0, 0]);
        drop(here);
        assert_eq!(places.each_ref().map(|places| places.available_permits()), [1, 1]);
    }
}
