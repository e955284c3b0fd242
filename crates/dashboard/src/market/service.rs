//! The one place that readers ask for figures.
//!
//! `DataService::start(&Config, Option<Arc<CacheManager>>) -> Result<Arc<Self>, ServiceError>`
//! `fetch_dashboard_summary(&Arc<Self>) -> Answer` (never fails: the summary is 200 whatever happens)
//! `fetch_dashboard_summary_direct(&Arc<Self>) -> Answer`
//! `refresh_dashboard_summary(&Arc<Self>) -> Refreshed`
//! `sources() -> Vec<SourceReport>`, `forget()`
