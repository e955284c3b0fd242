//! What an instance of a cluster knows of the others: whom it follows, and what it takes over.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::DataService;
use crate::market::{
    answer::SourceReport,
    board::Board,
    bulletin::{Bulletin, News},
    summary::Summary,
};

impl DataService {
    /// How each source is doing, as whoever renews the figures sees it.
    pub fn sources(&self) -> Vec<SourceReport> {
        match self.board.followed() {
            Some(leader) if !leader.sources.is_empty() => leader.sources.clone(),
            Some(_) | None => self.market.sources(),
        }
    }

    /// Whether this instance renews the figures; otherwise another one does, and this one follows it.
    pub fn leads(&self) -> bool {
        self.board.followed().is_none()
    }

    /// How this instance's own sources are doing.
    pub(crate) fn own_sources(&self) -> Vec<SourceReport> {
        self.market.sources()
    }

    /// Where instances tell one another of summaries.
    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Hands clients what the store has of an earlier process while nothing newer is known: the first
    /// round may take its time.
    pub(crate) async fn recall(&self) {
        if self.board.newest().is_some() {
            return;
        }
        let Some(cache) = &self.cache else { return };
        let stored = cache.cached_dashboard_data().await;
        if let Some(entry) = stored.filter(|entry| self.market.is_ours(entry.value())) {
            self.board.recall(Arc::clone(entry.value()));
        }
    }

    /// Sees what was cleared: by this instance, say.
    pub(crate) async fn glance(&self) {
        self.board.look().await;
    }

    /// Takes over what the leader before this instance knew: its figures, and who wants to be left
    /// alone until when.
    pub(crate) fn succeed(&self, predecessor: &Bulletin) {
        if let Some(news) = &predecessor.news {
            self.market.seed(&news.summary);
        }
        for report in &predecessor.sources {
            if let Some(until) = report.cooling_until {
                self.market.desk().cool_until(report.source, until);
            }
        }
    }

    /// None for an instance that leads, and where the leader has none that is fresh.
    pub(super) fn leaders_summary(&self) -> Option<Arc<Summary>> {
        let leader = self.board.followed()?;
        let summary = &leader.news.as_ref()?.summary;
        (self.age(summary) < self.dashboard_ttl).then(|| Arc::clone(summary))
    }

    /// A leader that is there and has no summary yet will soon have one. Waited for here and not in a
    /// load, whose lease the leader itself may need. What is left of UPSTREAM_TIMEOUT_MS for a round.
    pub(super) async fn wait_for_leader(&self) -> Duration {
        let half = self.upstream_timeout / 2;
        let until = self.clock.monotonic() + self.upstream_timeout;
        let mut newest = self.board.subscribe();
        let is_ready = |_: &Option<Arc<News>>| {
            let leader = self.board.followed();
            leader.is_none_or(|leader| leader.news.is_some())
        };
        // It may not have heard of a clear yet, and a source of its round may hang: a reader needs time
        // for a round here.
        let _ = timeout(half, newest.wait_for(is_ready)).await;
        let left = until.saturating_duration_since(self.clock.monotonic());
        left.max(half)
    }
}
