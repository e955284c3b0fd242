//! Values as a store holds them: codec and envelope, both ways.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;

use crate::{
    clock::Moment,
    codec::Codec,
    entry::Record,
    envelope::{self, Flaw, MAX_OVERHEAD_BYTES, Shape, Token, Wrapping},
    error::Error,
    key::Slot,
    options::Life,
    stats::{Counters, count},
    store::Stored,
    tag::Epochs,
};

/// How the values of one cache are written and read.
pub(crate) struct Seal<V> {
    codec: Arc<dyn Codec<V>>,
    shape: Shape,
    max_value_bytes: usize,
    counters: Arc<Counters>,
}

/// A value that L2 handed over.
pub(crate) struct Received<V> {
    pub(crate) record: Record<V>,
    /// The epochs that it was born under; whether they are current is to be found out.
    pub(crate) epochs: Epochs,
    /// When L2 was asked for it.
    pub(crate) sent: Moment,
}

/// A value's bytes, checked, on their way into an envelope.
pub(crate) struct Body(Vec<u8>);

/// What stored bytes turn out to be.
pub(crate) enum Opened<V> {
    Value(Received<V>),
    /// Of no use to us; what is there has this token.
    Useless(Option<Token>),
    /// A newer version of the program owns the slot.
    NotOurs,
}

impl<V: Send + Sync + 'static> Seal<V> {
    pub(crate) fn new(
        codec: Arc<dyn Codec<V>>,
        schema: u32,
        max_value_bytes: usize,
        counters: Arc<Counters>,
    ) -> Self {
        let shape = Shape {
            schema,
            codec: codec.id(),
        };
        Self {
            codec,
            shape,
            max_value_bytes,
            counters,
        }
    }

    /// The longest envelope.
    pub(crate) fn limit(&self) -> usize {
        self.max_value_bytes + MAX_OVERHEAD_BYTES
    }

    pub(crate) fn encode(&self, slot: &Slot, value: &V) -> Result<Body, Error> {
        let mut body = Vec::new();
        let encoded = caught(|| self.codec.encode(value, &mut body));
        encoded
            .unwrap_or_else(|| Err(PANICKED.into()))
            .map_err(|cause| Error::codec(format!("encoding {slot:?}"), cause))?;
        if body.len() <= self.max_value_bytes {
            return Ok(Body(body));
        }
        count(&self.counters.store_oversize);
        let limit = self.max_value_bytes;
        Err(Error::too_large(format!("{slot:?}: above {limit} bytes")))
    }

    pub(crate) fn wrap(
        &self,
        slot: &Slot,
        body: &Body,
        life: Life,
        (token, epochs): (Token, &Epochs),
    ) -> Bytes {
        let wrapping = Wrapping {
            full_key: slot.full_key(),
            shape: self.shape,
            life,
            token,
            epochs,
        };
        envelope::seal(wrapping, &body.0).into()
    }

    /// Sorts stored bytes, and counts what they are.
    pub(crate) fn open(&self, slot: &Slot, stored: &Stored, sent: Moment) -> Opened<V> {
        let flaw = match self.received(slot, stored, sent) {
            Ok(received) => return Opened::Value(received),
            Err(flaw) => flaw,
        };
        let counters = &self.counters;
        count(match flaw {
            _ if stored.bytes.len() >= self.limit() => &counters.store_oversize,
            Flaw::Damaged => &counters.store_damaged,
            Flaw::Foreign => &counters.store_foreign,
            Flaw::Outdated => &counters.store_outdated,
            Flaw::Newer => &counters.store_newer,
        });
        tracing::debug!(key = ?slot, ?flaw, "stored bytes are not used");
        if flaw == Flaw::Newer {
            return Opened::NotOurs;
        }
        Opened::Useless(Token::of_envelope(&stored.bytes))
    }

    fn received(&self, slot: &Slot, stored: &Stored, sent: Moment) -> Result<Received<V>, Flaw> {
        let envelope = envelope::open(&stored.bytes, slot.full_key(), self.shape)?;
        let remaining = stored.remaining.ok_or(Flaw::Damaged)?;
        let remaining = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
        let total = envelope.life.total();
        // Longer than any fill gives: somebody else touched the key's life.
        if remaining > total {
            return Err(Flaw::Damaged);
        }
        let decoded = caught(|| self.codec.decode(envelope.body));
        let Some(Ok(value)) = decoded else {
            return Err(Flaw::Damaged);
        };
        // Counted from the send: the life can only come out shorter.
        let born = sent.plus_millis(remaining).minus_millis(total);
        Ok(Received {
            record: Record::new(value, envelope.token, envelope.life, born),
            epochs: envelope.epochs,
            sent,
        })
    }
}

const PANICKED: &str = "the codec panicked";

/// Stored bytes must not bring down who reads them, whatever the codec makes of them.
fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(run)).ok()
}
