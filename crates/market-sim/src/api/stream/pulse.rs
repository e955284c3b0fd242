//! What keeps a stream alive: pings and their answers, its age, and how much its client talks.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::window::Window;

const PING_EVERY: Duration = Duration::from_secs(20);
/// A client that leaves a ping unanswered for longer is gone.
const PATIENCE: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(86_400);
/// Messages that a client may send in a second, pings and pongs included.
const MAX_MESSAGES: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// What keeps a stream alive, in steady time.
#[derive(Debug)]
pub(super) struct Pulse {
    ends_at: Duration,
    ping_at: Duration,
    /// Pings, oldest first, with the time of each.
    unanswered: VecDeque<(Duration, Bytes)>,
    messages: Window,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// The stream is at the end of its life.
    End,
    /// The client does not answer.
    GiveUp,
}

impl Pulse {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            ends_at: now + LIFE,
            ping_at: now + PING_EVERY,
            unanswered: VecDeque::new(),
            messages: Window::default(),
        }
    }

    /// What is to be done now; a ping is due once.
    pub(super) fn due(&mut self, now: Duration) -> Due {
        if now >= self.ends_at {
            Due::End
        } else if self.gives_up_at().is_some_and(|at| now >= at) {
            Due::GiveUp
        } else if now >= self.ping_at {
            // Not `ping_at + PING_EVERY`: after a long step one ping is enough.
            self.ping_at = now + PING_EVERY;
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Duration {
        let next = self.ends_at.min(self.ping_at);
        self.gives_up_at().map_or(next, |at| next.min(at))
    }

    pub(super) fn pinged(&mut self, payload: Bytes, now: Duration) {
        self.unanswered.push_back((now, payload));
    }

    /// An answer to one ping is one to those before it. One to no ping is none, and so is one that
    /// comes when the client is given up.
    pub(super) fn ponged(&mut self, payload: &Bytes, now: Duration) {
        if self.gives_up_at().is_some_and(|at| now >= at) {
            return;
        }
        let is_answered = |(_, sent): &(Duration, Bytes)| sent == payload;
        if let Some(place) = self.unanswered.iter().position(is_answered) {
            self.unanswered.drain(..=place);
        }
    }

    /// Whether the client may have sent a message now.
    pub(super) fn takes_message(&mut self, now: Duration) -> bool {
        self.messages.admits(now, MAX_MESSAGES, SECOND)
    }

    fn gives_up_at(&self) -> Option<Duration> {
        self.unanswered.front().map(|(sent, _)| *sent + PATIENCE)
    }
}
