//! What settings take, and what is said of one that is wrong.

use std::{collections::HashMap, ffi::OsString, fs};

use dashboard::{
    command::{self, Command, Flags},
    config::Config,
    setting::BadSetting,
};
use secrecy::ExposeSecret as _;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn read(settings: &[(&str, &str)]) -> Result<Config, BadSetting> {
    read_with(&Flags::default(), settings)
}

fn read_with(flags: &Flags, settings: &[(&str, &str)]) -> Result<Config, BadSetting> {
    let environment: HashMap<String, OsString> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.into()))
        .collect();
    Config::read(flags, |name| environment.get(name).cloned())
}

#[test]
fn an_empty_environment_gives_the_documented_defaults() {
    let config = read(&[]).expect("the defaults are sound");
    let shown = config.describe();
    for line in [
        "HOST=127.0.0.1",
        "PORT=8080",
        "REDIS_URL=not set",
        "DATABASE_URL=sqlite://./data/reports.db",
        "CACHE_L1_CAPACITY=2000",
        "CACHE_L1_TTL_SECONDS=300",
        "CACHE_L2_TTL_SECONDS=3600",
        "DASHBOARD_TTL_SECONDS=300",
        "MARKET_DATA_TTL_SECONDS=60",
        "REFRESH_INTERVAL_SECONDS=10",
        "REFRESH_BACKOFF_MAX_SECONDS=60",
        "SYMBOLS=btc,eth,sol,xrp,ada,link,bnb",
        "ADMIN_TOKEN=not set",
        "BINANCE_WS_URL=wss://data-stream.binance.vision",
        "UPSTREAM_TIMEOUT_MS=8000",
        "L2_TIMEOUT_MS=100",
        "WS_MAX_CLIENTS=12000",
        "WS_MAX_PER_ADDRESS=50",
        "RUST_LOG=info",
        "LOG_FORMAT=text",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in\n{shown}"
        );
    }
}

#[test]
fn a_bad_value_is_told_in_one_line_with_its_setting_and_what_it_takes() {
    for (name, value) in [
        ("HOST", "nowhere"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("CACHE_L1_CAPACITY", "2"),
        ("CACHE_L1_CAPACITY", "100000001"),
        ("CACHE_L1_POLICY", "fifo"),
        ("DASHBOARD_TTL_SECONDS", "0"),
        ("DASHBOARD_TTL_SECONDS", "31536001"),
        ("REFRESH_INTERVAL_SECONDS", "ten"),
        ("UPSTREAM_TIMEOUT_MS", "600001"),
        ("L2_TIMEOUT_MS", "1.5"),
        ("SYMBOLS", "btc,doge"),
        ("SYMBOLS", "btc,BTC"),
        ("SYMBOLS", "btc,,eth"),
        ("REDIS_NAMESPACE", "Has Blank"),
        ("DATABASE_URL", "reports.db"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("DATABASE_URL", "mysql://user@host/reports"),
        ("DATA_DIR", "/dev/null"),
        ("DATA_DIR", "/dev/null/data"),
        ("BINANCE_BASE_URL", "ftp://host"),
        ("BINANCE_BASE_URL", "https://host/api/v3"),
        ("BINANCE_WS_URL", "https://host"),
        ("BINANCE_WS_URL", "wss://host/?streams=x"),
        ("BINANCE_WS_URL", "wss://"),
        ("COINGECKO_BASE_URL", "https://host/?key=1"),
        ("FNG_BASE_URL", "host"),
        ("ALLOWED_ORIGINS", "example.org"),
        ("ALLOWED_ORIGINS", "http://u:p@a"),
        ("ALLOWED_ORIGINS", "http://a?x=1"),
        ("ALLOWED_ORIGINS", "http://a#f"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "loud"),
        ("RUST_LOG", "info,[span]=debug"),
        ("RUST_LOG", "dashboard[span{field=1}]=debug"),
        ("WS_MAX_CLIENTS", "0"),
        ("PORT", "8080\nsecond line"),
    ] {
        let error = read(&[(name, value)]).expect_err(&format!("{name}={value} is refused"));
        let told = error.to_string();
        assert!(told.starts_with(&format!("{name}: ")), "{told}");
        assert!(told.contains(", it takes "), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn a_bad_secret_is_never_shown() {
    for (name, value) in [
        ("ADMIN_TOKEN", "hunter2"),
        ("ADMIN_TOKEN", "0123456789abcdef hunter2 0123456789"),
        ("REDIS_URL", "http://user:hunter2@host"),
        ("REDIS_URL", "redis://"),
        ("DATABASE_URL", "http://user:hunter2@host/reports"),
        (
            "DATABASE_URL",
            "postgres://user:hunter2@host/reports?other=1",
        ),
        ("DATABASE_URL_FILE", "postgres://user:hunter2@host/reports"),
        ("BINANCE_BASE_URL", "https://user:hunter2@host"),
        ("BINANCE_WS_URL", "wss://user:hunter2@host"),
        ("COINGECKO_BASE_URL", "https://host/?key=hunter2"),
        ("FNG_BASE_URL", "host#hunter2"),
        ("ALLOWED_ORIGINS", "https://user:hunter2@host"),
        ("REDIS_URL_FILE", "redis://:hunter2@h:6379"),
        (
            "ADMIN_TOKEN_FILE",
            "0123456789abcdef-hunter2-0123456789abcdef",
        ),
    ] {
        let told = read(&[(name, value)])
            .expect_err("it is refused")
            .to_string();
        assert!(told.starts_with(&format!("{name}: ")), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_secret_in_effect_is_masked_wherever_settings_are_shown() {
    let url = "redis://:hunter2hunter2@127.0.0.1:6379";
    let database = "postgres://user:hunter2@host/reports";
    let secrets = [
        ("ADMIN_TOKEN", TOKEN),
        ("REDIS_URL", url),
        ("DATABASE_URL", database),
    ];
    let config = read(&secrets).expect("all are sound");
    for shown in [config.describe(), format!("{config:?}")] {
        assert!(
            !shown.contains(TOKEN) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn reports_are_kept_in_the_data_folder_unless_told_otherwise() {
    let config = read(&[("DATA_DIR", "/srv/dashboard")]).expect("a folder that can be made");
    assert_eq!(
        config.database.shown(),
        "sqlite:///srv/dashboard/reports.db"
    );
    let path = std::env::temp_dir().join(format!("dashboard-database-{}", std::process::id()));
    fs::write(&path, "postgres://user:secret@host/reports\n").expect("the file is written");
    let text = path.to_str().expect("the path is text");
    let config = read(&[("DATABASE_URL_FILE", text)]).expect("the file holds an address");
    let address = config.database.expose();
    assert_eq!(address, Some("postgres://user:secret@host/reports"));
    fs::remove_file(&path).expect("it is there");
}

#[test]
fn a_secret_can_come_from_a_file_and_not_from_two_places() {
    let path = std::env::temp_dir().join(format!("dashboard-token-{}", std::process::id()));
    fs::write(&path, format!("{TOKEN}\n")).expect("the file is written");
    let text = path.to_str().expect("the path is text");
    let config = read(&[("ADMIN_TOKEN_FILE", text)]).expect("the file holds a token");
    let token = config.admin_token.expect("there is a token");
    assert_eq!(token.expose_secret(), TOKEN);
    let both = read(&[("ADMIN_TOKEN_FILE", text), ("ADMIN_TOKEN", TOKEN)]);
    assert!(
        both.expect_err("two places")
            .to_string()
            .starts_with("ADMIN_TOKEN_FILE: ")
    );
    fs::remove_file(&path).expect("the file is removed");
    let gone = read(&[("ADMIN_TOKEN_FILE", text)]).expect_err("the file is gone");
    assert_eq!(gone.setting, "ADMIN_TOKEN_FILE");
    assert!(gone.held.contains("hidden"), "{}", gone.held);
    // What exists is a path and no secret: saying which one helps.
    let folder = read(&[("ADMIN_TOKEN_FILE", "/")]).expect_err("a folder is no file");
    assert_eq!(folder.held, "\"/\"");
}

/// What README.md says of the settings is checked by name and by default.
#[test]
fn the_readme_names_every_setting_and_its_default() {
    let readme = include_str!("../../../../README.md");
    let row = |name: &str| {
        readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
    };
    let shown = Config::defaults().describe();
    for line in shown.lines() {
        let (name, value) = line.split_once('=').expect("NAME=value");
        let row = row(name).unwrap_or_else(|| panic!("README.md has no row for {name}"));
        let value = value.split(" (").next().expect("a first part");
        let default = if value.is_empty() { "none" } else { value };
        let default = default.replace("not set", "none");
        assert!(row.contains(&default), "{row} does not say {default}");
    }
}

#[test]
fn flags_win_over_the_environment() {
    let words = ["--port=9", "--host", "0.0.0.0", "demo"].map(str::to_owned);
    let (command, flags) = command::parse(words).expect("the words are understood");
    assert_eq!(command, Command::Demo);
    let config = read_with(&flags, &[("PORT", "10"), ("HOST", "127.0.0.2")]).expect("sound");
    assert_eq!(
        (config.port, config.host.to_string()),
        (9, "0.0.0.0".to_owned())
    );
}

#[test]
fn a_command_line_that_cannot_be_understood_is_told_in_one_line() {
    for words in [
        vec!["fly"],
        vec!["--colour"],
        vec!["--port"],
        vec!["config"],
        vec!["demo", "x"],
    ] {
        let told = command::parse(words.iter().map(|word| (*word).to_owned()))
            .expect_err(&format!("{words:?} is refused"))
            .to_string();
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn the_demo_ignores_what_leads_out_of_this_machine() {
    let environment = |name: &str| match name {
        "REDIS_URL" => Some("not even an address".into()),
        "BINANCE_BASE_URL" => Some("https://real.example".into()),
        "BINANCE_WS_URL" => Some("wss://real.example".into()),
        "PORT" => Some("9".into()),
        _ => None,
    };
    let config = Config::read_for_demo(&Flags::default(), environment).expect("nothing is wrong");
    assert!(config.redis_url.is_none());
    assert!(!config.describe().contains("real.example"));
    assert_eq!(config.port, 9);
    assert!(config.data_dir.ends_with("demo"));
}

#[test]
fn a_documented_path_is_appended_to_the_prefix_of_a_base_address() {
    for (base, asked) in [
        ("http://host:1/prefix", "http://host:1/prefix/api/v3/time"),
        ("http://host:1/prefix/", "http://host:1/prefix/api/v3/time"),
        ("https://host", "https://host/api/v3/time"),
    ] {
        let config = read(&[("BINANCE_BASE_URL", base)]).expect("the address is sound");
        assert_eq!(config.binance.at("/api/v3/time").as_str(), asked);
    }
}
