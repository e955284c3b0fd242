//! What is done when the store answers again: leases go back, and what writes left
//! unsettled is removed there, never re-played. It may take a newer value with it: a
//! miss, nothing worse.
//!
//! Until it is removed, other processes go on taking what the store has for true: so
//! many are settled at once. A cache that is closed leaves the rest.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::{
    core::Core,
    error::Error,
    group,
    pending::{Item, Listing},
    write,
};

/// Of the calls that a store may have under way, a quarter: readers go on meanwhile.
const AT_ONCE: usize = 64;
/// Of one round; the next heartbeat begins another.
const MOST_REFUSALS: usize = 16;

pub(crate) async fn recover<V: Send + Sync + 'static>(core: &Arc<Core<V>>) {
    let ghosts = stream::iter(core.ghosts.take());
    ghosts
        .for_each_concurrent(AT_ONCE, async |(key, token)| {
            write::release(core, &key, token).await;
        })
        .await;
    let mut unsettled = core.pending.unsettled();
    // Everything settles the rest too.
    if unsettled.iter().any(|(item, _)| *item == Item::Everything) {
        unsettled.retain(|(item, _)| *item == Item::Everything);
    }
    let settling = stream::iter(unsettled).map(|(item, listing)| settle(core, item, listing));
    let mut settling = std::pin::pin!(settling.buffer_unordered(AT_ONCE));
    let mut refused = 0;
    while let Some(result) = settling.next().await {
        // One item that the store refuses must not keep the others waiting; one that
        // refuses everything is not to be hammered.
        let Err(error) = result else { continue };
        tracing::debug!(cache = %core.name, %error, "recovery goes on later");
        refused += 1;
        if !error.is_refusal() || refused == MOST_REFUSALS {
            return;
        }
    }
}

async fn settle<V: Send + Sync + 'static>(
    core: &Arc<Core<V>>,
    item: Item,
    listing: Listing,
) -> Result<(), Error> {
    let (core, listing) = (Arc::clone(core), Some(listing));
    match item {
        Item::Key(key) => write::remove_through(core, key, listing).await,
        Item::Tag(tag) => group::tag_through(core, tag, listing).await,
        Item::Matching(pattern) => group::matching_through(core, pattern, listing)
            .await
            .map(|_| ()),
        Item::Everything => group::clear_through(core).await,
    }
}
