//! The dashboard's binary: reads what it is asked to do, and runs it.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use dashboard::{
    app::{self, Application, BuildError},
    command::{self, Command, Flags},
    config::Config,
    demo::Demo,
    setting::BadSetting,
    telemetry,
};

/// What the shell is told of a setting that does not hold what it takes.
const BAD_SETTING: u8 = 2;
const FAILED: u8 = 1;

fn main() -> ExitCode {
    // Two providers in one program make rustls panic at the first connection; there is one, ring.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return told("a TLS provider was installed before main", FAILED);
    }
    let (command, flags) = match command::parse(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(bad) => return told(&bad, BAD_SETTING),
    };
    match run(command, &flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.is::<BadSetting>() {
                BAD_SETTING
            } else {
                FAILED
            };
            told(telemetry::chain(error.as_ref()), code)
        }
    }
}

fn run(command: Command, flags: &Flags) -> Result<(), Box<dyn Error>> {
    let lookup = |name: &str| std::env::var_os(name);
    match command {
        Command::Help => Ok(say(command::USAGE.trim_end())?),
        Command::Version => Ok(say(concat!("dashboard ", env!("CARGO_PKG_VERSION")))?),
        Command::ConfigCheck => Ok(say(Config::read(flags, lookup)?.describe().trim_end())?),
        Command::Serve => served(serve(Config::read(flags, lookup)?)),
        Command::Demo => served(demo(Config::read_for_demo(flags, lookup)?)),
    }
}

#[tokio::main]
async fn served(
    serving: impl Future<Output = Result<(), Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    serving.await
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    telemetry::start(&config.log, config.log_format);
    let has_redis = config.redis_url.is_some();
    let application = build(config).await?;
    say(&format!("Dashboard: http://{}/", application.address()))?;
    if !has_redis {
        say(
            "REDIS_URL is not set: the cache lives in this process only (L1), and is empty after a restart.",
        )?;
    }
    application.run(app::told_to_stop()?).await;
    Ok(())
}

async fn demo(config: Config) -> Result<(), Box<dyn Error>> {
    telemetry::start(&config.log, config.log_format);
    // The market is there before the dashboard listens, so that the first reader finds figures.
    let demo = Demo::start(config).await?;
    let application = build(demo.config.clone()).await?;
    say(&demo.greeting(application.address()))?;
    application.run(app::told_to_stop()?).await;
    demo.simulator.stop().await;
    Ok(())
}

/// Builds the application; an address that cannot be listened on is a bad setting.
async fn build(config: Config) -> Result<Application, Box<dyn Error>> {
    const FREE: &str = "a port that is free on this machine; 0 picks one";
    const OWN: &str = "an address of this machine, such as 127.0.0.1 or 0.0.0.0";
    let port = config.port;
    match Application::build(config).await {
        Ok(application) => Ok(application),
        Err(BuildError::Listen { address, source }) => {
            // These two speak of the port; every other error is one of the address.
            let (setting, held, takes) = match source.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => {
                    ("PORT", port.to_string(), FREE)
                }
                _ => ("HOST", address.ip().to_string(), OWN),
            };
            Err(Box::new(BadSetting {
                setting: setting.to_owned(),
                held: format!("{held:?} ({source})"),
                takes: takes.to_owned(),
            }))
        }
        Err(error) => Err(Box::new(error)),
    }
}

/// What a person asked for goes to standard output; log lines go to standard error.
fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn told(problem: impl std::fmt::Display, code: u8) -> ExitCode {
    // Nobody reads standard error any more: there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "dashboard: {problem}");
    ExitCode::from(code)
}
