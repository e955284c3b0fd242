//! What is done when the store answers again: leases go back, and what writes left
//! unsettled is removed there, never re-played. It may take a newer value with it: a
//! miss, nothing worse.

use std::sync::Arc;

use crate::{core::Core, error::Error, group, pending::Item, write};

pub(crate) async fn recover<V: Send + Sync + 'static>(core: &Arc<Core<V>>) {
    for (key, token) in core.ghosts.take() {
        write::release(core, &key, token).await;
    }
    let mut unsettled = core.pending.unsettled();
    // Everything settles the rest too.
    if unsettled.iter().any(|(item, _)| *item == Item::Everything) {
        unsettled.retain(|(item, _)| *item == Item::Everything);
    }
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
        // One item that the store refuses must not keep the others waiting.
        if result.is_err_and(|error| is_away(&core, &error)) {
            return;
        }
    }
}

/// Whether the store is away again.
fn is_away<V: Send + Sync + 'static>(core: &Core<V>, error: &Error) -> bool {
    tracing::debug!(cache = %core.name, %error, "recovery goes on later");
    !error.is_refusal()
}
