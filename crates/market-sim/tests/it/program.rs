//! The program itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_market-sim"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn bad_arguments_end_it_with_2_and_one_line() {
    for arguments in [
        &["--seed", "many"][..],
        &["--address", "nowhere"],
        &["--at", "yesterday"],
        &["--candles"],
        &["--candles", "/nowhere/candles.csv"],
        &["--colour"],
        &["now"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--address", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
}

#[test]
fn it_prints_the_base_urls_once_it_listens() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_market-sim"))
        .args([
            "--address",
            "127.0.0.1:0",
            "--at",
            "2021-05-01T12:00:00Z",
            "--frozen",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .take(13)
        .map(Result::unwrap)
        .collect();
    let address = lines[0]
        .strip_prefix("BINANCE_BASE_URL=http://")
        .and_then(|rest| rest.strip_suffix("/binance"))
        .unwrap_or_else(|| panic!("{lines:?}"));
    let reached = std::net::TcpStream::connect(address);
    child.kill().unwrap();
    child.wait().unwrap();
    reached.unwrap();
    assert_eq!(
        lines[1],
        format!("COINGECKO_BASE_URL=http://{address}/coingecko")
    );
    assert_eq!(lines[2], format!("FNG_BASE_URL=http://{address}/fng"));
    assert_eq!(
        lines[3],
        format!("BINANCE_WS_URL=ws://{address}/binance-ws")
    );
    for (line, name) in lines[4..9].iter().zip([
        ("TAAPI_BASE_URL", "taapi"),
        ("CMC_BASE_URL", "cmc"),
        ("COINBASE_BASE_URL", "coinbase"),
        ("KRAKEN_BASE_URL", "kraken"),
        ("FINNHUB_BASE_URL", "finnhub"),
    ]) {
        assert_eq!(*line, format!("{}=http://{address}/{}", name.0, name.1));
    }
    for (line, name) in lines[9..12]
        .iter()
        .zip(["TAAPI_SECRET", "CMC_API_KEY", "FINNHUB_API_KEY"])
    {
        assert!(line.starts_with(&format!("{name}=simulated-")), "{line}");
    }
    assert_eq!(lines[12], format!("# control: http://{address}/control"));
}
