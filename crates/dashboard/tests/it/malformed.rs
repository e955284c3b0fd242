//! What no client should send over a WebSocket, byte by byte, and with which code it is closed
//! (RFC 6455, 5 to 7).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{Rig, TOKEN, until};
use crate::ws::open_seats;

const PROTOCOL: u16 = 1002;
const INVALID: u16 = 1007;
const TOO_BIG: u16 = 1009;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A masked frame; the key is zero, so that the payload stands in it as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => bytes.push(0x80 | u8::try_from(length).expect("below 126")),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend(
                u64::try_from(payload.len())
                    .expect("a length")
                    .to_be_bytes(),
            );
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A frame that says it has so many bytes and brings none.
fn announced(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn close(code: u16) -> Vec<u8> {
    frame(FIN | CLOSE, &code.to_be_bytes())
}

/// What is sent, and with which code it is closed.
type Case = (String, Vec<u8>, u16);

fn case(name: impl Into<String>, bytes: Vec<u8>, code: u16) -> Case {
    (name.into(), bytes, code)
}

fn headers() -> Vec<Case> {
    let mut cases = vec![
        case("an unmasked text", b"\x81\x05hello".to_vec(), PROTOCOL),
        case("an unmasked ping", b"\x89\x00".to_vec(), PROTOCOL),
    ];
    for bit in [0x40, 0x20, 0x10] {
        let bytes = frame(FIN | bit | TEXT, b"hi");
        cases.push(case(format!("reserved bit {bit:#x}"), bytes, PROTOCOL));
    }
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        let bytes = frame(FIN | opcode, b"hi");
        cases.push(case(
            format!("reserved opcode {opcode:#x}"),
            bytes,
            PROTOCOL,
        ));
    }
    for opcode in [CLOSE, PING, PONG] {
        let parts = format!("control frame {opcode:#x} in parts");
        cases.push(case(parts, frame(opcode, b""), PROTOCOL));
        let long = format!("control frame {opcode:#x} of 126 bytes");
        cases.push(case(long, frame(FIN | opcode, &[b'x'; 126]), PROTOCOL));
    }
    cases
}

fn texts() -> Vec<Case> {
    let broken = [
        ("a byte that never occurs", &b"\xFF"[..]),
        ("half a character", b"\xE2\x82"),
        ("half a surrogate pair", b"\xED\xA0\x80"),
        ("an overlong zero", b"\xC0\x80"),
        ("a character beyond the last", b"\xF4\x90\x80\x80"),
    ];
    let broken = broken.map(|(name, bytes)| {
        let name = format!("text with {name}");
        case(name, frame(FIN | TEXT, bytes), INVALID)
    });
    let halves = [frame(TEXT, b"\xE2"), frame(FIN | CONTINUATION, b"x")].concat();
    let nested = [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat();
    let orphan = frame(FIN | CONTINUATION, b"x");
    let mut cases = vec![
        case("text with half a character at its seam", halves, INVALID),
        case("a continuation of nothing", orphan, PROTOCOL),
        case("a part of nothing", frame(CONTINUATION, b"x"), PROTOCOL),
        case("a text inside another one", nested, PROTOCOL),
    ];
    cases.extend(broken);
    cases
}

fn closes() -> Vec<Case> {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
    let codes = codes.map(|code| case(format!("a close with code {code}"), close(code), PROTOCOL));
    let babble = frame(FIN | CLOSE, b"\x03\xE8\xFF\xFF");
    let mut cases = vec![
        case(
            "a close with half a code",
            frame(FIN | CLOSE, &[3]),
            PROTOCOL,
        ),
        case("a close whose reason is no text", babble, INVALID),
    ];
    cases.extend(codes);
    cases
}

fn sizes() -> Vec<Case> {
    let mut parts = frame(TEXT, &[b'x'; 1_500]);
    parts.extend(frame(CONTINUATION, &[b'x'; 1_500]).repeat(4));
    let long = frame(FIN | TEXT, &[b'x'; 5_000]);
    vec![
        case("a text of 5,000 bytes", long, TOO_BIG),
        case(
            "a text of a gigabyte",
            announced(FIN | TEXT, 1 << 30),
            TOO_BIG,
        ),
        case(
            "a text of 2^62 bytes",
            announced(FIN | TEXT, 1 << 62),
            TOO_BIG,
        ),
        case("a text of many parts", parts, TOO_BIG),
    ]
}

/// Sends it after the handshake; the code that the service closes with.
async fn closed_with(address: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream
        .write_all(handshake.as_bytes())
        .await
        .expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream.write_all(bytes).await.expect("it reads");
    loop {
        let first = stream.read_u8().await.ok()?;
        let length = match stream.read_u8().await.ok()? {
            126 => usize::from(stream.read_u16().await.ok()?),
            127 => usize::try_from(stream.read_u64().await.ok()?).ok()?,
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        if first == FIN | CLOSE {
            return Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_malformed_frame_is_closed_with_its_code_and_leaves_nothing_behind() {
    let settings = [("ADMIN_TOKEN", TOKEN), ("REFRESH_INTERVAL_SECONDS", "3600")];
    let rig = Rig::start(&settings).await;
    let cases = [headers(), texts(), closes(), sizes()].concat();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, bytes, code) in cases {
        let closed = timeout(Duration::from_secs(5), closed_with(rig.address, &bytes)).await;
        if closed != Ok(Some(code)) {
            wrong.push(format!("{name}: {closed:?} and not {code}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    until("every place to be free", || async {
        (open_seats(&rig).await == 0).then_some(())
    })
    .await;
    rig.summary().await;
}
