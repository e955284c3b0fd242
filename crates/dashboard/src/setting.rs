//! What a single setting may hold, and the one line that is said when it holds something else.

use std::{
    ffi::OsString,
    fmt, fs, io,
    net::IpAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    cache::plan::is_redis_url, config::DEFAULT_HOST, market::symbol::Symbol,
    report::address::DatabaseUrl, telemetry,
};

/// A setting that does not hold what it takes. Its text is one line and never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {held} is not valid, it takes {takes}")]
pub struct BadSetting {
    /// Its name.
    pub setting: String,
    /// What it held, fit to be shown.
    pub held: String,
    /// What it takes.
    pub takes: String,
}

/// Where a source is asked: scheme, host and an optional prefix, to which documented paths are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Where a source's streams are: scheme, host and an optional prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamUrl(Url);

/// Where Redis is. Secret as a whole, since it may carry a password.
#[derive(Clone, Debug)]
pub struct RedisUrl(SecretString);

/// CACHE_L1_POLICY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Policy {
    TinyLfu,
    Lru,
    S3Fifo,
}

/// LOG_FORMAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}

impl BaseUrl {
    /// Takes an address with http or https, and no credentials, query, fragment or API version.
    ///
    /// # Errors
    /// What it takes instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const TAKES: &str =
            "http:// or https://, a host and an optional path prefix without an API version";
        base(text, &["http", "https"]).map(Self).ok_or(TAKES)
    }

    /// The address of a documented path. `Url::join` would lose the prefix at a leading slash.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        url
    }

    /// Whether TLS is needed to reach it.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl StreamUrl {
    /// Takes an address with ws or wss, and no credentials, query or fragment.
    ///
    /// # Errors
    /// What it takes instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const TAKES: &str = "ws:// or wss://, a host and an optional path prefix";
        base(text, &["ws", "wss"]).map(Self).ok_or(TAKES)
    }

    /// The address of several streams over one connection; their names are parted by `/`.
    pub(crate) fn combined(&self, names: &str) -> Url {
        let mut url = BaseUrl(self.0.clone()).at("/stream");
        url.set_query(Some(&format!("streams={names}")));
        url
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// An address to which documented paths are appended.
fn base(text: &str, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let has_more = url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some();
    let ends_in_version = url
        .path_segments()
        .and_then(|mut segments| segments.rfind(|part| !part.is_empty()))
        .and_then(|last| last.strip_prefix('v'))
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    (schemes.contains(&url.scheme()) && !has_more && !ends_in_version).then_some(url)
}

impl RedisUrl {
    /// The address itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Policy {
    /// How it is written.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TinyLfu => "tiny-lfu",
            Self::Lru => "lru",
            Self::S3Fifo => "s3-fifo",
        }
    }
}

impl LogFormat {
    /// How it is written.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Reads settings by name. An empty variable counts as not set.
pub(crate) struct Settings<'a> {
    lookup: Lookup<'a>,
}

impl<'a> Settings<'a> {
    pub(crate) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup }
    }

    pub(crate) fn host(&self, flag: Option<&str>) -> Result<IpAddr, BadSetting> {
        let Some((name, text)) = self.flag_or("--host", flag, "HOST")? else {
            return Ok(DEFAULT_HOST);
        };
        if text == "localhost" {
            return Ok(DEFAULT_HOST);
        }
        text.parse()
            .map_err(|_| bad(name, &text, "an IP address, such as 127.0.0.1 or 0.0.0.0"))
    }

    pub(crate) fn port(&self, flag: Option<&str>) -> Result<u16, BadSetting> {
        let Some((name, text)) = self.flag_or("--port", flag, "PORT")? else {
            return Ok(8_080);
        };
        text.parse()
            .map_err(|_| bad(name, &text, "a whole number from 0 to 65535"))
    }

    pub(crate) fn log_filter(&self, flag: Option<&str>) -> Result<String, BadSetting> {
        let Some((name, text)) = self.flag_or("--log", flag, "RUST_LOG")? else {
            return Ok("info".to_owned());
        };
        match telemetry::parse_filter(&text) {
            Some(_) => Ok(text),
            None => Err(bad(
                name,
                &text,
                "levels, such as info or warn,terrace=debug (no span filters)",
            )),
        }
    }

    pub(crate) fn count(
        &self,
        name: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, BadSetting> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                bad(
                    name,
                    &text,
                    &format!("a whole number from {} to {}", range.start(), range.end()),
                )
            })
    }

    pub(crate) fn seconds(&self, name: &str, default: u64) -> Result<Duration, BadSetting> {
        self.count(name, default, 1..=31_536_000)
            .map(Duration::from_secs)
    }

    pub(crate) fn millis(&self, name: &str, default: u64) -> Result<Duration, BadSetting> {
        self.count(name, default, 1..=600_000)
            .map(Duration::from_millis)
    }

    pub(crate) fn clients(&self, name: &str, default: u64) -> Result<usize, BadSetting> {
        let number = self.count(name, default, 1..=1_000_000)?;
        Ok(usize::try_from(number).expect("a million fits every target"))
    }

    /// A folder, which may be missing; then it is made when something is first kept there.
    pub(crate) fn folder(&self, name: &str, default: &str) -> Result<PathBuf, BadSetting> {
        const TAKES: &str = "the path of a folder, or one where a folder can be made";
        let text = self.text(name)?.unwrap_or_else(|| default.to_owned());
        // What cannot be looked at (a file on the way to it, no permission) cannot be used either.
        match fs::metadata(&text) {
            Ok(found) if found.is_dir() => Ok(text.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(text.into()),
            _ => Err(bad(name, &text, TAKES)),
        }
    }

    pub(crate) fn namespace(&self, name: &str, default: &str) -> Result<String, BadSetting> {
        let text = self.text(name)?.unwrap_or_else(|| default.to_owned());
        let is_fine = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if is_fine {
            Ok(text)
        } else {
            Err(bad(name, &text, "1 to 32 of a-z 0-9 _ -"))
        }
    }

    pub(crate) fn policy(&self, name: &str) -> Result<Option<Policy>, BadSetting> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        [Policy::TinyLfu, Policy::Lru, Policy::S3Fifo]
            .into_iter()
            .find(|policy| policy.code() == text)
            .map(Some)
            .ok_or_else(|| bad(name, &text, "tiny-lfu, lru or s3-fifo"))
    }

    pub(crate) fn log_format(&self, name: &str) -> Result<LogFormat, BadSetting> {
        match self.text(name)?.as_deref() {
            None | Some("text") => Ok(LogFormat::Text),
            Some("json") => Ok(LogFormat::Json),
            Some(other) => Err(bad(name, other, "text or json")),
        }
    }

    pub(crate) fn symbols(&self, name: &str) -> Result<Vec<Symbol>, BadSetting> {
        let Some(text) = self.text(name)? else {
            return Ok(Symbol::ALL.to_vec());
        };
        let known = || Symbol::ALL.map(Symbol::code).join(",");
        let mut symbols = Vec::new();
        for part in text.split(',') {
            let symbol = part
                .trim()
                .parse::<Symbol>()
                .map_err(|_| bad(name, part.trim(), &format!("a list of some of {}", known())))?;
            if symbols.contains(&symbol) {
                return Err(bad(name, &text, "each coin once"));
            }
            symbols.push(symbol);
        }
        Ok(symbols)
    }

    pub(crate) fn base_url(&self, name: &str, default: &str) -> Result<BaseUrl, BadSetting> {
        let text = self.text(name)?.unwrap_or_else(|| default.to_owned());
        BaseUrl::parse(&text).map_err(|takes| bad_address(name, &text, takes))
    }

    pub(crate) fn stream_url(&self, name: &str, default: &str) -> Result<StreamUrl, BadSetting> {
        let text = self.text(name)?.unwrap_or_else(|| default.to_owned());
        StreamUrl::parse(&text).map_err(|takes| bad_address(name, &text, takes))
    }

    /// A key that is sent in a header or a query: visible ASCII, as providers give them out.
    pub(crate) fn key(&self, name: &str) -> Result<Option<SecretString>, BadSetting> {
        let Some((name, secret)) = self.secret(name)? else {
            return Ok(None);
        };
        let is_visible = secret.expose_secret().bytes().all(|b| b.is_ascii_graphic());
        if is_visible {
            return Ok(Some(secret));
        }
        let takes = "visible ASCII characters without blanks";
        Err(bad_secret(&name, "a secret (hidden)", takes))
    }

    pub(crate) fn origins(&self, name: &str) -> Result<Vec<String>, BadSetting> {
        let Some(text) = self.text(name)? else {
            return Ok(Vec::new());
        };
        text.split(',')
            .map(|part| {
                let origin = part.trim().trim_end_matches('/');
                Url::parse(origin)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/")
                    // What an origin never has would be dropped unsaid, not allowed.
                    .filter(|_| !origin.contains(MAY_HOLD_A_SECRET))
                    .map(|url| url.origin().ascii_serialization())
                    .ok_or_else(|| bad_address(name, part, "a list of scheme://host[:port]"))
            })
            .collect()
    }

    pub(crate) fn redis_url(&self) -> Result<Option<RedisUrl>, BadSetting> {
        const TAKES: &str = "redis://, rediss:// or unix:// and an address";
        let Some((name, secret)) = self.secret("REDIS_URL")? else {
            return Ok(None);
        };
        let text = secret.expose_secret();
        let is_fine = ["redis://", "rediss://", "unix://"].iter().any(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        }) && is_redis_url(text);
        if is_fine {
            Ok(Some(RedisUrl(secret)))
        } else {
            Err(bad_secret(
                &name,
                "what it holds (hidden, it may carry a password)",
                TAKES,
            ))
        }
    }

    /// Where reports are kept; a SQLite file in `data_dir` unless set.
    pub(crate) fn database_url(&self, data_dir: &Path) -> Result<DatabaseUrl, BadSetting> {
        let Some((name, secret)) = self.secret("DATABASE_URL")? else {
            return Ok(DatabaseUrl::in_folder(data_dir));
        };
        DatabaseUrl::parse(secret.expose_secret()).map_err(|_| {
            let held = "what it holds (hidden, it may carry a password)";
            bad_secret(&name, held, DatabaseUrl::TAKES)
        })
    }

    pub(crate) fn admin_token(&self) -> Result<Option<SecretString>, BadSetting> {
        let Some((name, secret)) = self.secret("ADMIN_TOKEN")? else {
            return Ok(None);
        };
        let characters = secret.expose_secret().chars().count();
        let is_visible = secret.expose_secret().bytes().all(|b| b.is_ascii_graphic());
        if characters >= 32 && is_visible {
            return Ok(Some(secret));
        }
        let held = format!("a secret of {characters} characters (hidden)");
        Err(bad_secret(
            &name,
            &held,
            "at least 32 visible ASCII characters without blanks",
        ))
    }

    /// A secret from `NAME` or from the file that `NAME_FILE` names, with the name it came by.
    fn secret(&self, name: &str) -> Result<Option<(String, SecretString)>, BadSetting> {
        let file_name = format!("{name}_FILE");
        match (self.text(name)?, self.text(&file_name)?) {
            (Some(_), Some(_)) => Err(bad_secret(
                &file_name,
                &format!("setting it beside {name}"),
                "one of the two",
            )),
            (Some(text), None) => Ok(Some((name.to_owned(), text.into()))),
            (None, Some(path)) => {
                let content = fs::read_to_string(&path).map_err(|_| {
                    const TAKES: &str = "the path of a readable text file";
                    // What names no file is often the secret itself, put in the wrong place.
                    if Path::new(&path).exists() {
                        bad(&file_name, &path, TAKES)
                    } else {
                        bad_secret(&file_name, "a path that cannot be read (hidden)", TAKES)
                    }
                })?;
                let text = content.trim_end_matches(['\r', '\n']);
                if text.is_empty() {
                    return Err(bad(&file_name, &path, "a file that is not empty"));
                }
                Ok(Some((file_name, text.to_owned().into())))
            }
            (None, None) => Ok(None),
        }
    }

    fn flag_or<'n>(
        &self,
        flag_name: &'n str,
        flag: Option<&str>,
        name: &'n str,
    ) -> Result<Option<(&'n str, String)>, BadSetting> {
        match flag {
            Some(text) => Ok(Some((flag_name, text.to_owned()))),
            None => Ok(self.text(name)?.map(|text| (name, text))),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, BadSetting> {
        match (self.lookup)(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) if text.is_empty() => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(bad_secret(name, "what it holds", "UTF-8")),
        }
    }
}

/// Credentials, a query and a fragment: parts of an address that no terminal or log may show.
const MAY_HOLD_A_SECRET: [char; 3] = ['@', '?', '#'];

fn bad_address(setting: &str, held: &str, takes: &str) -> BadSetting {
    if held.contains(MAY_HOLD_A_SECRET) {
        let hidden = "an address with credentials, a query or a fragment (hidden)";
        return bad_secret(setting, hidden, takes);
    }
    bad(setting, held, takes)
}

fn bad(setting: &str, held: &str, takes: &str) -> BadSetting {
    // Quoted and escaped, so that a line break in a value cannot make a second line.
    bad_secret(setting, &format!("{held:?}"), takes)
}

fn bad_secret(setting: &str, held: &str, takes: &str) -> BadSetting {
    BadSetting {
        setting: setting.to_owned(),
        held: held.to_owned(),
        takes: takes.to_owned(),
    }
}
