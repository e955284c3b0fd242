//! The keys that the simulated sources take: made up, and worth nothing anywhere else.
//!
//! ```
//! assert!(market_sim::keys::TAAPI_SECRET.starts_with("simulated-"));
//! ```

/// What belongs into `TAAPI_SECRET`; every other secret is refused with 401.
pub const TAAPI_SECRET: &str = "simulated-taapi-secret";

/// What belongs into `CMC_API_KEY`; every other key is refused with 401.
pub const CMC_API_KEY: &str = "simulated-cmc-key";

/// What belongs into `FINNHUB_API_KEY`; every other token is refused with 401.
pub const FINNHUB_API_KEY: &str = "simulated-finnhub-token";

/// What may stand in `COINGECKO_API_KEY`: calls without a key are answered too, other keys refused.
pub const COINGECKO_API_KEY: &str = "simulated-coingecko-demo-key";
