use std::task::{Context, Poll};

/// Lets a session of many calls wait for its turn each time that it is woken: the calls that are ready run first, and what
/// all of them write goes out at once. One by one, each frame would be a packet of its own.
#[derive(Debug, Default)]
pub(super) struct Turn {
    is_here: bool,
}

impl Turn {
    /// Works when the turn has come, and as long as there is something new. A session of one call has nothing to wait for.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        calls: usize,
        work: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.is_here && calls > 1 {
            self.is_here = true;
            // A task that wakes itself comes behind all that are ready.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let worked = work(cx);
        self.is_here = worked.is_ready();
        worked
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn what_is_ready_comes_before() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let seen = Arc::clone(&seen);
            async move { seen.lock().unwrap().push(what) }
        };
        let (first, last) = (note("one"), note("session"));
        let session = tokio::spawn(async move {
            let mut turn = Turn::default();
            poll_fn(|cx| turn.poll(cx, 2, |_| Poll::Ready(()))).await;
            last.await;
        });
        let call = tokio::spawn(first);
        call.await.unwrap();
        session.await.unwrap();
        assert_eq!(*seen.lock().unwrap(), ["one", "session"]);
    }
}
