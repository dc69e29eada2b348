use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures::task::AtomicWaker;

/// Comes when everything has run that was ready. Whoever waits may be polled before, since a task does more than this.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    has_come: AtomicBool,
    task: AtomicWaker,
}

impl Turn {
    /// Begins to wait.
    pub(crate) fn begin(cx: &Context<'_>) -> Arc<Self> {
        let turn = Arc::new(Self::default());
        turn.task.register(cx.waker());
        let waker = Waker::from(Arc::clone(&turn));
        // The runtime wakes it behind all others.
        let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        turn
    }

    /// Whether it has come. If not, the task is woken when it does.
    pub(crate) fn has_come(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.has_come.load(Ordering::Acquire)
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.task.wake();
    }
}
