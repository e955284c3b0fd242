//! What is done when the store answers again: leases go back, and what writes left
//! unsettled is removed there, never re-played. It may take a newer value with it: a
//! miss, nothing worse.

use std::sync::Arc;

use crate::{core::Core, group, pending::Item, write};

/// Of one round; the next heartbeat begins another.
const MOST_REFUSALS: usize = 16;

pub(crate) async fn recover<V: Send + Sync + 'static>(core: &Arc<Core<V>>) {
    for (key, token) in core.ghosts.take() {
        write::release(core, &key, token).await;
    }
    let mut unsettled = core.pending.unsettled();
    // Everything settles the rest too.
    if unsettled.iter().any(|(item, _)| *item == Item::Everything) {
        unsettled.retain(|(item, _)| *item == Item::Everything);
    }
    let mut refused = 0;
    for (item, listing) in unsettled {
        let (core, listing) = (Arc::clone(core), Some(listing));
        let result = match item {
            Item::Key(key) => write::remove_through(Arc::clone(&core), key, listing).await,
            Item::Tag(tag) => group::tag_through(Arc::clone(&core), tag, listing).await,
            Item::Matching(pattern) => {
                let removal = group::matching_through(Arc::clone(&core), pattern, listing);
                removal.await.map(|_| ())
            }
            Item::Everything => group::clear_through(Arc::clone(&core)).await,
        };
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
