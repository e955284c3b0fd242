//! The service's settings: flags win over the environment, the environment over the defaults.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;

use crate::{
    command::Flags,
    market::{Credential, figure::Source, stock::Fund, summary::Origin, symbol::Symbol},
    report::address::DatabaseUrl,
    setting::{BadSetting, BaseUrl, LogFormat, Policy, RedisUrl, Settings, StreamUrl},
};

/// Everything that the service can be told from outside, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// HOST: the address to listen on; 127.0.0.1 by default.
    pub host: IpAddr,
    /// PORT: 8080 by default; 0 picks one.
    pub port: u16,
    /// REDIS_URL: none means that the cache lives in this process only.
    pub redis_url: Option<RedisUrl>,
    /// REDIS_NAMESPACE: the prefix of every key; `dashboard` by default.
    pub redis_namespace: String,
    /// DATABASE_URL: where reports are kept; a SQLite file in DATA_DIR by default. Nothing opens
    /// it yet.
    pub database: DatabaseUrl,
    /// DATA_DIR: where embedded files will lie; `./data` by default. Nothing is kept there yet.
    pub data_dir: PathBuf,
    /// CACHE_L1_CAPACITY: entries over all caches; 2000 by default, and at least one for each of
    /// the five.
    pub l1_capacity: u64,
    /// CACHE_L1_TTL_SECONDS: longest stay in L1; 300 s by default.
    pub l1_ttl: Duration,
    /// CACHE_L2_TTL_SECONDS: longest stay in L2; 3600 s by default.
    pub l2_ttl: Duration,
    /// CACHE_L1_POLICY: the library's default unless set.
    pub l1_policy: Option<Policy>,
    /// DASHBOARD_TTL_SECONDS: fresh time of the summary; 300 s by default.
    pub dashboard_ttl: Duration,
    /// MARKET_DATA_TTL_SECONDS: fresh time of indicators' input; 60 s by default.
    pub market_data_ttl: Duration,
    /// REFRESH_INTERVAL_SECONDS: pause between the refresher's rounds; 10 s by default.
    pub refresh_interval: Duration,
    /// REFRESH_BACKOFF_MAX_SECONDS: its longest pause after failed rounds; 60 s by default.
    pub refresh_backoff_max: Duration,
    /// SYMBOLS: the coins; all seven by default.
    pub symbols: Vec<Symbol>,
    /// ADMIN_TOKEN: none means that admin routes answer 403.
    pub admin_token: Option<SecretString>,
    /// BINANCE_BASE_URL: the public host without keys by default.
    pub binance: BaseUrl,
    /// BINANCE_WS_URL: its streams, the public host without keys by default.
    pub binance_ws: StreamUrl,
    /// COINGECKO_BASE_URL.
    pub coingecko: BaseUrl,
    /// FNG_BASE_URL.
    pub fng: BaseUrl,
    /// TAAPI_BASE_URL.
    pub taapi: BaseUrl,
    /// CMC_BASE_URL.
    pub cmc: BaseUrl,
    /// COINBASE_BASE_URL.
    pub coinbase: BaseUrl,
    /// KRAKEN_BASE_URL.
    pub kraken: BaseUrl,
    /// FINNHUB_BASE_URL.
    pub finnhub: BaseUrl,
    /// TAAPI_SECRET: none means that it is not asked.
    pub taapi_secret: Option<SecretString>,
    /// CMC_API_KEY: none means that it is not asked.
    pub cmc_api_key: Option<SecretString>,
    /// COINGECKO_API_KEY, of a demo plan: none means that it is asked without.
    pub coingecko_api_key: Option<SecretString>,
    /// FINNHUB_API_KEY: none means that it is not asked.
    pub finnhub_api_key: Option<SecretString>,
    /// Whether those are the real sources or the simulator.
    pub origin: Origin,
    /// UPSTREAM_TIMEOUT_MS: all that one read may spend on upstreams; 8 s by default.
    pub upstream_timeout: Duration,
    /// L2_TIMEOUT_MS: one store call; 100 ms by default.
    pub l2_timeout: Duration,
    /// WS_MAX_CLIENTS: 12000 by default.
    pub ws_max_clients: usize,
    /// WS_MAX_PER_ADDRESS: 50 by default.
    pub ws_max_per_address: usize,
    /// ALLOWED_ORIGINS: `scheme://host[:port]` each; empty means the same origin only.
    pub allowed_origins: Vec<String>,
    /// RUST_LOG: `info` by default. Invariant: parses as a filter.
    pub log: String,
    /// LOG_FORMAT: text by default.
    pub log_format: LogFormat,
}

/// Settings that the demo leaves out, so that simulated prices never reach a real cache.
const IGNORED_BY_DEMO: [&str; 22] = [
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "REDIS_NAMESPACE",
    "BINANCE_BASE_URL",
    "BINANCE_WS_URL",
    "COINGECKO_BASE_URL",
    "FNG_BASE_URL",
    "TAAPI_BASE_URL",
    "CMC_BASE_URL",
    "COINBASE_BASE_URL",
    "KRAKEN_BASE_URL",
    "FINNHUB_BASE_URL",
    "TAAPI_SECRET",
    "TAAPI_SECRET_FILE",
    "CMC_API_KEY",
    "CMC_API_KEY_FILE",
    "COINGECKO_API_KEY",
    "COINGECKO_API_KEY_FILE",
    "FINNHUB_API_KEY",
    "FINNHUB_API_KEY_FILE",
];

impl Config {
    /// Reads what `serve` runs with. `lookup` gives a variable of the environment.
    ///
    /// # Errors
    /// The first setting that does not hold what it takes.
    pub fn read(
        flags: &Flags,
        lookup: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, BadSetting> {
        let settings = Settings::new(&lookup);
        let data_dir = settings.folder("DATA_DIR", "./data")?;
        Ok(Self {
            host: settings.host(flags.host.as_deref())?,
            port: settings.port(flags.port.as_deref())?,
            redis_url: settings.redis_url()?,
            redis_namespace: settings.namespace("REDIS_NAMESPACE", "dashboard")?,
            database: settings.database_url(&data_dir)?,
            data_dir,
            l1_capacity: settings.count("CACHE_L1_CAPACITY", 2_000, 5..=100_000_000)?,
            l1_ttl: settings.seconds("CACHE_L1_TTL_SECONDS", 300)?,
            l2_ttl: settings.seconds("CACHE_L2_TTL_SECONDS", 3_600)?,
            l1_policy: settings.policy("CACHE_L1_POLICY")?,
            dashboard_ttl: settings.seconds("DASHBOARD_TTL_SECONDS", 300)?,
            market_data_ttl: settings.seconds("MARKET_DATA_TTL_SECONDS", 60)?,
            refresh_interval: settings.seconds("REFRESH_INTERVAL_SECONDS", 10)?,
            refresh_backoff_max: settings.seconds("REFRESH_BACKOFF_MAX_SECONDS", 60)?,
            symbols: settings.symbols("SYMBOLS")?,
            admin_token: settings.admin_token()?,
            binance: settings.base_url("BINANCE_BASE_URL", "https://data-api.binance.vision")?,
            binance_ws: settings
                .stream_url("BINANCE_WS_URL", "wss://data-stream.binance.vision")?,
            coingecko: settings.base_url("COINGECKO_BASE_URL", "https://api.coingecko.com")?,
            fng: settings.base_url("FNG_BASE_URL", "https://api.alternative.me")?,
            taapi: settings.base_url("TAAPI_BASE_URL", "https://api.taapi.io")?,
            cmc: settings.base_url("CMC_BASE_URL", "https://pro-api.coinmarketcap.com")?,
            coinbase: settings
                .base_url("COINBASE_BASE_URL", "https://api.exchange.coinbase.com")?,
            kraken: settings.base_url("KRAKEN_BASE_URL", "https://api.kraken.com")?,
            finnhub: settings.base_url("FINNHUB_BASE_URL", "https://finnhub.io")?,
            taapi_secret: settings.key("TAAPI_SECRET")?,
            cmc_api_key: settings.key("CMC_API_KEY")?,
            coingecko_api_key: settings.key("COINGECKO_API_KEY")?,
            finnhub_api_key: settings.key("FINNHUB_API_KEY")?,
            origin: Origin::Live,
            upstream_timeout: settings.millis("UPSTREAM_TIMEOUT_MS", 8_000)?,
            l2_timeout: settings.millis("L2_TIMEOUT_MS", 100)?,
            ws_max_clients: settings.clients("WS_MAX_CLIENTS", 12_000)?,
            ws_max_per_address: settings.clients("WS_MAX_PER_ADDRESS", 50)?,
            allowed_origins: settings.origins("ALLOWED_ORIGINS")?,
            log: settings.log_filter(flags.log.as_deref())?,
            log_format: settings.log_format("LOG_FORMAT")?,
        })
    }

    /// Reads what `demo` runs with: the same, but nothing that leads out of this machine.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_for_demo(
        flags: &Flags,
        lookup: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, BadSetting> {
        let mut config = Self::read(flags, |name| {
            if IGNORED_BY_DEMO.contains(&name) {
                None
            } else {
                lookup(name)
            }
        })?;
        config.origin = Origin::Simulated;
        config.data_dir.push("demo");
        Ok(config)
    }

    /// The settings of an empty environment: what tests start from.
    pub fn defaults() -> Self {
        Self::read(&Flags::default(), |_| None).expect("the defaults are within their own ranges")
    }

    /// The funds of the summary: none without a key.
    pub fn funds(&self) -> Vec<Fund> {
        match self.finnhub_api_key {
            Some(_) => Fund::ALL.to_vec(),
            None => Vec::new(),
        }
    }

    /// Where a source is asked.
    pub fn base(&self, source: Source) -> &BaseUrl {
        match source {
            Source::Binance => &self.binance,
            Source::CoinGecko => &self.coingecko,
            Source::AlternativeMe => &self.fng,
            Source::Coinbase => &self.coinbase,
            Source::Kraken => &self.kraken,
            Source::CoinMarketCap => &self.cmc,
            Source::Taapi => &self.taapi,
            Source::Finnhub => &self.finnhub,
        }
    }

    /// How a source is told who asks; none where it is off.
    pub(crate) fn credential(&self, source: Source) -> Option<Credential> {
        let header = |name, key: &Option<SecretString>| {
            let key = key.clone()?;
            Some(Credential::Header(name, key))
        };
        match source {
            Source::Binance | Source::AlternativeMe | Source::Coinbase | Source::Kraken => {
                Some(Credential::None)
            }
            Source::CoinGecko => {
                let key = header("x-cg-demo-api-key", &self.coingecko_api_key);
                Some(key.unwrap_or(Credential::None))
            }
            Source::CoinMarketCap => header("x-cmc_pro_api_key", &self.cmc_api_key),
            Source::Finnhub => header("x-finnhub-token", &self.finnhub_api_key),
            Source::Taapi => {
                let secret = self.taapi_secret.clone()?;
                Some(Credential::Query("secret", secret))
            }
        }
    }

    /// What is in effect, a line each, secrets masked.
    pub fn describe(&self) -> String {
        let seconds = |time: Duration| time.as_secs().to_string();
        let hidden = |is_set: bool| if is_set { "set (hidden)" } else { "not set" }.to_owned();
        let symbols: Vec<&str> = self.symbols.iter().map(|symbol| symbol.code()).collect();
        let policy = self.l1_policy.map_or("the library's default", Policy::code);
        let lines = [
            ("HOST", self.host.to_string()),
            ("PORT", self.port.to_string()),
            ("REDIS_URL", hidden(self.redis_url.is_some())),
            ("REDIS_NAMESPACE", self.redis_namespace.clone()),
            ("DATABASE_URL", self.database.shown()),
            (
                "DATA_DIR",
                format!("{} (nothing is kept there yet)", self.data_dir.display()),
            ),
            ("CACHE_L1_CAPACITY", self.l1_capacity.to_string()),
            ("CACHE_L1_TTL_SECONDS", seconds(self.l1_ttl)),
            ("CACHE_L2_TTL_SECONDS", seconds(self.l2_ttl)),
            ("CACHE_L1_POLICY", policy.to_owned()),
            ("DASHBOARD_TTL_SECONDS", seconds(self.dashboard_ttl)),
            ("MARKET_DATA_TTL_SECONDS", seconds(self.market_data_ttl)),
            ("REFRESH_INTERVAL_SECONDS", seconds(self.refresh_interval)),
            (
                "REFRESH_BACKOFF_MAX_SECONDS",
                seconds(self.refresh_backoff_max),
            ),
            ("SYMBOLS", symbols.join(",")),
            ("ADMIN_TOKEN", hidden(self.admin_token.is_some())),
            ("BINANCE_BASE_URL", self.binance.to_string()),
            ("BINANCE_WS_URL", self.binance_ws.to_string()),
            ("COINGECKO_BASE_URL", self.coingecko.to_string()),
            ("FNG_BASE_URL", self.fng.to_string()),
            ("TAAPI_BASE_URL", self.taapi.to_string()),
            ("CMC_BASE_URL", self.cmc.to_string()),
            ("COINBASE_BASE_URL", self.coinbase.to_string()),
            ("KRAKEN_BASE_URL", self.kraken.to_string()),
            ("FINNHUB_BASE_URL", self.finnhub.to_string()),
            ("TAAPI_SECRET", hidden(self.taapi_secret.is_some())),
            ("CMC_API_KEY", hidden(self.cmc_api_key.is_some())),
            (
                "COINGECKO_API_KEY",
                hidden(self.coingecko_api_key.is_some()),
            ),
            ("FINNHUB_API_KEY", hidden(self.finnhub_api_key.is_some())),
            (
                "UPSTREAM_TIMEOUT_MS",
                self.upstream_timeout.as_millis().to_string(),
            ),
            ("L2_TIMEOUT_MS", self.l2_timeout.as_millis().to_string()),
            ("WS_MAX_CLIENTS", self.ws_max_clients.to_string()),
            ("WS_MAX_PER_ADDRESS", self.ws_max_per_address.to_string()),
            ("ALLOWED_ORIGINS", self.allowed_origins.join(",")),
            ("RUST_LOG", self.log.clone()),
            ("LOG_FORMAT", self.log_format.code().to_owned()),
        ];
        lines.iter().fold(String::new(), |mut text, (name, value)| {
            writeln!(text, "{name}={value}").expect("a String takes all that is written");
            text
        })
    }
}

/// The default of HOST: nobody outside this machine is served unless asked for.
pub(crate) const DEFAULT_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
