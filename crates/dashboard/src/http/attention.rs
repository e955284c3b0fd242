//! Whether a WebSocket client takes what it is sent.
//!
//! What was written is with the kernels of both sides at first, and they take much in the place of a
//! client that reads nothing. So an update is followed by a ping with a number that nobody can guess: who
//! sends it back has read what came before it, as every WebSocket library does by itself while it
//! reads (ADR 0018).

use std::time::Duration;

use tokio::time::Instant;

/// Updates that may be on their way to one client. Whoever has as many before him gets the newest
/// once he answers, and no backlog. More than one, so that nobody waits for a round trip.
const WINDOW: u32 = 4;

/// When clients are asked for a sign of life, and when they are given up.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long after its last answer a client without updates is asked; 20 s by default.
    pub ping_every: Duration,
    /// How long an answer may take; 10 s by default.
    pub answer_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(20),
            answer_within: Duration::from_secs(10),
        }
    }
}

/// What is known of one client. At most one ping is on its way at a time, so that none that is late
/// can be taken for the answer to another.
#[derive(Debug)]
pub(crate) struct Attention {
    pace: Pace,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has answered, or was not asked yet.
    Calm { since: Instant },
    /// It was asked and has not answered yet, and was sent more after that.
    Asked {
        at: Instant,
        ping: Payload,
        behind: u32,
    },
}

/// What a ping carries and its answer brings back. Pongs may come unasked (RFC 6455, 5.5.3), so it is not to
/// be known without reading.
pub(crate) type Payload = [u8; 8];

/// What is to be done at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Ask,
    GiveUp,
}

impl Attention {
    pub(crate) fn new(pace: Pace, now: Instant) -> Self {
        let state = State::Calm { since: now };
        Self { pace, state }
    }

    /// What is due next, if nothing happens before.
    pub(crate) fn due(&self) -> (Instant, Due) {
        match self.state {
            State::Calm { since } => (since + self.pace.ping_every, Due::Ask),
            State::Asked { at, .. } => (at + self.pace.answer_within, Due::GiveUp),
        }
    }

    /// Whether it may be sent another update.
    pub(crate) fn has_room(&self) -> bool {
        match self.state {
            State::Calm { .. } => true,
            State::Asked { behind, .. } => behind + 1 < WINDOW,
        }
    }

    /// It is sent an update, or asked without one. The ping that has to follow, if one has to.
    #[must_use]
    pub(crate) fn next_ping(&mut self, now: Instant) -> Option<Payload> {
        match &mut self.state {
            State::Calm { .. } => {
                let ping = rand::random();
                self.state = State::Asked {
                    at: now,
                    ping,
                    behind: 0,
                };
                Some(ping)
            }
            State::Asked { behind, .. } => {
                *behind += 1;
                None
            }
        }
    }

    /// Whether this pong is the answer that is to come.
    pub(crate) fn awaits(&self, pong: &[u8]) -> bool {
        matches!(self.state, State::Asked { ping, .. } if ping == pong)
    }

    /// It has answered. The ping that has to follow for what it was sent since it was asked.
    #[must_use]
    pub(crate) fn answered(&mut self, now: Instant) -> Option<Payload> {
        let was_behind = matches!(self.state, State::Asked { behind: 1.., .. });
        self.state = State::Calm { since: now };
        was_behind.then(|| self.next_ping(now)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_client_without_updates_is_asked_after_twenty_seconds_and_given_up_after_thirty() {
        let start = clock::monotonic();
        let mut client = Attention::new(Pace::default(), start);
        assert_eq!(client.due(), (second(start, 20), Due::Ask));
        assert!(client.next_ping(second(start, 20)).is_some());
        assert_eq!(client.due(), (second(start, 30), Due::GiveUp));
        assert_eq!(client.answered(second(start, 21)), None);
        assert_eq!(client.due(), (second(start, 41), Due::Ask));
    }

    #[test]
    fn a_client_is_given_up_ten_seconds_after_the_first_update_it_does_not_answer() {
        let start = clock::monotonic();
        let mut client = Attention::new(Pace::default(), start);
        assert!(client.next_ping(second(start, 7)).is_some());
        for later in 8..11 {
            assert!(client.has_room());
            let ping = client.next_ping(second(start, later));
            assert_eq!(ping, None, "one is on its way");
            assert_eq!(client.due(), (second(start, 17), Due::GiveUp));
        }
        assert!(!client.has_room(), "four are on their way");
    }

    #[test]
    fn a_slow_client_is_asked_anew_for_what_it_was_sent_before_its_answer() {
        let start = clock::monotonic();
        let mut client = Attention::new(Pace::default(), start);
        assert!(client.next_ping(start).is_some());
        assert_eq!(client.next_ping(second(start, 3)), None);
        assert!(client.answered(second(start, 9)).is_some());
        assert!(client.has_room());
        assert_eq!(client.due(), (second(start, 19), Due::GiveUp));
        assert_eq!(client.answered(second(start, 18)), None);
        assert_eq!(client.due(), (second(start, 38), Due::Ask));
    }

    #[test]
    fn nothing_but_what_the_last_ping_carried_is_its_answer() {
        let start = clock::monotonic();
        let mut client = Attention::new(Pace::default(), start);
        assert!(!client.awaits(&[]), "it was not asked");
        let first = client.next_ping(start).expect("a ping");
        for other in [&[][..], &[0; 8], &first[..7]] {
            assert!(!client.awaits(other), "{other:?}");
        }
        assert!(client.awaits(&first));
        assert_eq!(client.answered(start), None);
        let second = client.next_ping(start).expect("a ping");
        assert!(client.awaits(&second) && !client.awaits(&first));
    }
}
