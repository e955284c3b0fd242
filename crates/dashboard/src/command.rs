//! The command line: a few flags, and what the program is asked to do.

use crate::setting::BadSetting;

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run against the configured sources.
    Serve,
    /// Run against the simulator, in this process.
    Demo,
    /// Print what is in effect.
    ConfigCheck,
    /// Print how to use it.
    Help,
    /// Print the version.
    Version,
}

/// The flags that were given, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Flags {
    pub host: Option<String>,
    pub port: Option<String>,
    pub log: Option<String>,
}

/// What `--help` prints.
pub const USAGE: &str = "\
A crypto market dashboard.

Usage: dashboard [COMMAND] [--host ADDRESS] [--port PORT] [--log FILTER]

Commands:
  serve         serve live market data (the default)
  demo          serve simulated market data; needs no network, no Redis, no key
  config check  print the settings in effect, secrets masked

Every other setting is an environment variable; README.md lists them.
";

/// Reads the command line, the program's own name left out.
///
/// # Errors
/// A word that is no command and no flag, or a flag without its value.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<(Command, Flags), BadSetting> {
    let mut flags = Flags::default();
    let mut commands: Vec<String> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => return Ok((Command::Help, flags)),
            "-V" | "--version" => return Ok((Command::Version, flags)),
            _ => {}
        }
        if !word.starts_with('-') {
            commands.push(word);
            continue;
        }
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        let slot = match name.as_str() {
            "--host" => &mut flags.host,
            "--port" => &mut flags.port,
            "--log" => &mut flags.log,
            _ => return Err(refused(&name, "--host, --port or --log")),
        };
        let value = inline.or_else(|| words.next());
        *slot = Some(value.ok_or_else(|| refused(&name, "a value behind it"))?);
    }
    let words: Vec<&str> = commands.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        [] | ["serve"] => Command::Serve,
        ["demo"] => Command::Demo,
        ["config", "check"] => Command::ConfigCheck,
        _ => return Err(refused(&words.join(" "), "serve, demo or config check")),
    };
    Ok((command, flags))
}

fn refused(held: &str, takes: &str) -> BadSetting {
    BadSetting {
        setting: "command line".to_owned(),
        held: format!("{held:?}"),
        takes: takes.to_owned(),
    }
}
