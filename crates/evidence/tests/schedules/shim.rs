//! Under the paths of what terrace synchronises with: loom's counterparts, which it
//! schedules and whose orderings it takes apart.

pub(crate) mod std {
    pub(crate) use std::{collections, fmt, hash, ops, time};

    pub(crate) mod sync {
        pub(crate) use std::sync::{Arc, OnceLock};

        pub(crate) mod atomic {
            pub(crate) use loom::sync::atomic::{
                AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering,
            };
        }
    }
}

/// Loom's locks with parking_lot's signatures.
pub(crate) mod parking_lot {
    use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("loom's locks are never poisoned")
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("loom's locks are never poisoned")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("loom's locks are never poisoned")
        }
    }
}

/// The same stripes and shards in every run: loom replays schedules.
pub(crate) mod foldhash {
    pub(crate) use foldhash::fast::FixedState as RandomState;
}

/// Wakers with Tokio's meaning, each call one step under a lock. Tokio's own are
/// explored by their authors, and draw random numbers, which loom cannot replay.
pub(crate) mod tokio {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use loom::sync::Mutex;

    #[derive(Debug, Default)]
    pub(crate) struct Notify(Mutex<Waiting>);

    #[derive(Debug, Default)]
    struct Waiting {
        calls: u64,
        wakers: Vec<Waker>,
    }

    impl Notify {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn notify_waiters(&self) {
            let mut waiting = self.0.lock().expect("nobody panics here");
            waiting.calls += 1;
            let wakers = std::mem::take(&mut waiting.wakers);
            drop(waiting);
            wakers.into_iter().for_each(Waker::wake);
        }

        /// Hears of every call from now on.
        pub(crate) fn notified(&self) -> Notified<'_> {
            let calls = self.0.lock().expect("nobody panics here").calls;
            Notified {
                notify: self,
                calls,
            }
        }
    }

    #[derive(Debug)]
    pub(crate) struct Notified<'a> {
        notify: &'a Notify,
        calls: u64,
    }

    impl Notified<'_> {
        pub(crate) fn enable(self: Pin<&mut Self>) -> bool {
            let waiting = self.notify.0.lock().expect("nobody panics here");
            waiting.calls != self.calls
        }
    }

    impl Future for Notified<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut waiting = self.notify.0.lock().expect("nobody panics here");
            if waiting.calls != self.calls {
                return Poll::Ready(());
            }
            waiting.wakers.push(context.waker().clone());
            Poll::Pending
        }
    }

    pub(crate) mod watch {
        use std::{
            future::poll_fn,
            sync::Arc,
            task::{Poll, Waker},
        };

        use loom::sync::{Mutex, MutexGuard};

        #[derive(Debug)]
        struct State<T> {
            value: T,
            version: u64,
            is_closed: bool,
            wakers: Vec<Waker>,
        }

        type Shared<T> = Arc<Mutex<State<T>>>;

        #[derive(Debug)]
        pub(crate) struct Sender<T>(Shared<T>);

        #[derive(Debug)]
        pub(crate) struct Receiver<T> {
            shared: Shared<T>,
            seen: u64,
        }

        #[derive(Debug)]
        pub(crate) struct Closed;

        pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
            let sender = Sender::new(value);
            let receiver = sender.subscribe();
            (sender, receiver)
        }

        fn state<T>(shared: &Shared<T>) -> MutexGuard<'_, State<T>> {
            shared.lock().expect("nobody panics here")
        }

        impl<T> Sender<T> {
            pub(crate) fn new(value: T) -> Self {
                Self(Arc::new(Mutex::new(State {
                    value,
                    version: 0,
                    is_closed: false,
                    wakers: Vec::new(),
                })))
            }

            pub(crate) fn subscribe(&self) -> Receiver<T> {
                Receiver {
                    shared: Arc::clone(&self.0),
                    seen: state(&self.0).version,
                }
            }

            pub(crate) fn send_replace(&self, value: T) {
                self.change(|state| {
                    state.value = value;
                    state.version += 1;
                });
            }

            fn change(&self, change: impl FnOnce(&mut State<T>)) {
                let mut state = state(&self.0);
                change(&mut state);
                let wakers = std::mem::take(&mut state.wakers);
                drop(state);
                wakers.into_iter().for_each(Waker::wake);
            }
        }

        impl<T> Drop for Sender<T> {
            fn drop(&mut self) {
                self.change(|state| state.is_closed = true);
            }
        }

        impl<T> Clone for Receiver<T> {
            fn clone(&self) -> Self {
                Self {
                    shared: Arc::clone(&self.shared),
                    seen: self.seen,
                }
            }
        }

        impl<T: Clone> Receiver<T> {
            pub(crate) async fn wait_for(
                &mut self,
                mut is_met: impl FnMut(&T) -> bool,
            ) -> Result<T, Closed> {
                poll_fn(|context| {
                    let mut state = state(&self.shared);
                    if is_met(&state.value) {
                        return Poll::Ready(Ok(state.value.clone()));
                    }
                    if state.is_closed {
                        return Poll::Ready(Err(Closed));
                    }
                    state.wakers.push(context.waker().clone());
                    Poll::Pending
                })
                .await
            }

            pub(crate) async fn changed(&mut self) -> Result<(), Closed> {
                let seen = self.seen;
                self.seen = poll_fn(|context| {
                    let mut state = state(&self.shared);
                    if state.version != seen {
                        return Poll::Ready(Ok(state.version));
                    }
                    if state.is_closed {
                        return Poll::Ready(Err(Closed));
                    }
                    state.wakers.push(context.waker().clone());
                    Poll::Pending
                })
                .await?;
                Ok(())
            }

            pub(crate) fn borrow(&self) -> T {
                state(&self.shared).value.clone()
            }
        }
    }
}
