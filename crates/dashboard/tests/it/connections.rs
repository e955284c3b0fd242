//! Single connections: requests that break the rules of HTTP/1.1, and the end of the service.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::{Rig, SUMMARY};
use crate::wire;

const REFRESH: &str = "/api/crypto/dashboard-summary/refresh";

/// A request that ends its connection, so that reading the answer comes to an end.
async fn refused(rig: &Rig, request: &str) -> wire::Reply {
    let reply = wire::raw(rig.address, request.as_bytes()).await;
    let kind = reply.header("content-type").expect("a type");
    assert_eq!(kind, "application/problem+json", "{request}");
    assert_eq!(reply.header("connection"), Some("close"), "{request}");
    assert_eq!(
        usize::from(reply.status),
        reply.json()["status"],
        "{request}"
    );
    reply
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused_on_every_way() {
    let rig = Rig::start(&[]).await;
    for path in [SUMMARY, "/", "/health", "/nothing"] {
        for hosts in ["", "Host: a\r\nHost: b\r\n"] {
            let request = format!("GET {path} HTTP/1.1\r\n{hosts}\r\n");
            assert_eq!(refused(&rig, &request).await.status, 400, "{request}");
        }
    }
    let older = format!("GET {SUMMARY} HTTP/1.0\r\n\r\n");
    assert_eq!(wire::raw(rig.address, older.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn nothing_is_read_behind_a_request_with_two_lengths() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    for path in [REFRESH, SUMMARY] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let reply = wire::raw(rig.address, request.as_bytes()).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("connection"), Some("close"), "{path}");
        let rest = String::from_utf8_lossy(&reply.body);
        assert!(!rest.contains("HTTP/1.1"), "{path}: {rest}");
    }
}

#[tokio::test]
async fn a_body_of_broken_chunks_is_called_broken() {
    let rig = Rig::start(&[]).await;
    let request = format!(
        "POST {REFRESH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    );
    let reply = refused(&rig, &request).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
}

#[tokio::test]
async fn a_head_that_never_ends_does_not_hold_the_stop() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let mut stream = TcpStream::connect(rig.address).await.expect("it listens");
    let begun = stream.write_all(b"GET / HTTP/1.1\r\nHo").await;
    begun.expect("it reads");
    // Connections are taken in their order: the answer on the second tells that the first
    // one's bytes were read.
    assert_eq!(rig.get(SUMMARY).await.status, 200);

    let told = Instant::now();
    rig.stop().await;
    assert!(
        told.elapsed() < Duration::from_secs(5),
        "{:?}",
        told.elapsed()
    );
}
