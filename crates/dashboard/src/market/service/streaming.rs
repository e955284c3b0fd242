//! Listening to the stream, as long as this instance is the one that renews the figures.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::DataService;
use crate::{
    market::{
        round::Market,
        stream::{Arrival, Pace},
    },
    supervise::supervise,
};

impl DataService {
    /// Listens to Binance's stream until the guard is dropped. While it brings every coin's price,
    /// rounds ask no source for prices; when it ends they do again, from the next one on.
    #[must_use = "listening ends when this is dropped"]
    pub fn stream(&self) -> DropGuard {
        self.stream_with(Pace::default())
    }

    /// As [`stream`](Self::stream), at another pace.
    #[must_use = "listening ends when this is dropped"]
    pub fn stream_with(&self, pace: Pace) -> DropGuard {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let market = Arc::clone(&self.market);
        tokio::spawn(async move {
            supervise("stream", &stop, || listen(Arc::clone(&market), pace)).await;
            market.heed(Arrival::Lost).await;
        });
        guard
    }
}

async fn listen(market: Arc<Market>, pace: Pace) {
    // After a panic nobody has said so.
    market.heed(Arrival::Lost).await;
    let mut feed = market.feed(pace);
    loop {
        market.heed(feed.next().await).await;
    }
}
