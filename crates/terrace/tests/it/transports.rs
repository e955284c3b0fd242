//! TLS and Unix sockets.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use terrace::{Cache, RedisStore};

use crate::{
    proxy::{Flow, Proxy},
    redis_server::{RedisServer, free_port},
    rig::{Raw, healthy, held_and_proven, millis, numbers, patient_process_on, reads, seconds},
};

struct Identity {
    root: String,
    certificate: String,
    key: String,
}

/// A certificate for loopback under a root of its own.
fn identity() -> Identity {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &root)
        .unwrap();
    Identity {
        root: root.pem(),
        certificate: leaf.pem(),
        key: key.serialize_pem(),
    }
}

/// This program has installed no crypto provider: the store brings one.
#[tokio::test]
async fn a_redis_behind_tls_is_used_and_an_unknown_root_is_not() {
    let identity = identity();
    let files = std::env::temp_dir().join(format!("terrace-tls-{}", std::process::id()));
    fs::create_dir_all(&files).unwrap();
    let file = |name: &str, text: &str| {
        let path = files.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (root, certificate) = (
        file("root", &identity.root),
        file("cert", &identity.certificate),
    );
    let (key, port) = (file("key", &identity.key), free_port());
    let server = RedisServer::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &root,
        "--tls-auth-clients",
        "no",
    ]);
    let url = format!("rediss://127.0.0.1:{port}");
    let trusting = RedisStore::connect_with_root(&url, identity.root.as_bytes()).unwrap();
    let cache = numbers()
        .store_timeout(seconds(5))
        .store(trusting)
        .build()
        .unwrap();
    cache.set("k", 7).await.unwrap();
    healthy(&cache).await;
    assert_eq!(Raw::on(&server).await.values_and_leases().await, 1);

    let strict = RedisStore::connect(&url).unwrap();
    let strict: Cache<u64> = numbers().store(strict).build().unwrap();
    assert!(strict.get("k").await.unwrap().is_none());
    assert!(strict.set("k", 8).await.unwrap_err().is_store());
    let broken = RedisStore::connect_with_root(&url, b"no certificate");
    assert!(broken.unwrap_err().is_config());
    fs::remove_dir_all(&files).unwrap();
}

#[tokio::test]
async fn plain_text_on_a_tls_url_degrades() {
    let server = RedisServer::start();
    let url = format!("rediss://127.0.0.1:{}", server.port());
    let cache = numbers()
        .store(RedisStore::connect(&url).unwrap())
        .build()
        .unwrap();
    assert!(cache.get("k").await.unwrap().is_none());
    assert!(cache.set("k", 8).await.unwrap_err().is_store());
}

#[tokio::test]
async fn a_redis_behind_a_unix_socket_is_used() {
    let folder = std::env::temp_dir().join(format!("terrace-unix-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("s");
    let socket = socket.to_str().unwrap();
    let server = RedisServer::start_with(&["--unixsocket", socket]);
    let store = RedisStore::connect(&format!("unix://{socket}")).unwrap();
    let cache = numbers()
        .store_timeout(seconds(5))
        .store(store)
        .build()
        .unwrap();
    cache.set("k", 7).await.unwrap();
    assert_eq!(Raw::on(&server).await.values_and_leases().await, 1);
    drop(server);
    fs::remove_dir_all(&folder).unwrap();
}

/// A server on another continent: far beyond the default deadline, for who asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_300_ms_away_is_used_by_who_has_the_patience() {
    let (server, half) = (RedisServer::start(), millis(150));
    let proxy = Proxy::before(&server).await;
    proxy.to_server(Flow::Delay(half));
    proxy.to_client(Flow::Delay(half));
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let cache = numbers().store_timeout(seconds(5)).store(store);
    let cache = cache.build().unwrap();
    let took = healthy(&cache).await;
    eprintln!("300 ms away: connected after {took:?}");
    cache.set("k", 1).await.unwrap();
    held_and_proven(&cache, "k").await;
    patient_process_on(&server).set("k", 2).await.unwrap();
    reads(&cache, "k", Some(2)).await;
    assert_eq!(proxy.traffic().connections, 2, "one, and the canary's");
}
