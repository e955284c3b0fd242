//! The fault proxy does what it says, seen by a client of bare bytes.

use std::{io::ErrorKind, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    field::{Stranger, until},
    proxy::{Door, Ending, Flow, Proxy},
    redis_server::RedisServer,
};

const LIMIT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_millis(120);

struct Rig {
    server: RedisServer,
    proxy: Proxy,
    client: TcpStream,
}

impl Rig {
    async fn new() -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server).await;
        let client = connect(&proxy).await;
        Self {
            server,
            proxy,
            client,
        }
    }

    async fn say(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.client.write_all(line.as_bytes()).await.unwrap();
    }

    /// Exactly these bytes come next.
    async fn expect(&mut self, bytes: &str) {
        let mut got = vec![0; bytes.len()];
        let read = self.client.read_exact(&mut got);
        tokio::time::timeout(LIMIT, read).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&got), bytes);
    }

    async fn expect_nothing(&mut self) {
        let mut byte = [0];
        let read = tokio::time::timeout(SILENCE, self.client.read(&mut byte)).await;
        assert!(read.is_err(), "{read:?} {byte:?}");
    }

    async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let read = self.client.read_to_end(&mut rest);
        let read = tokio::time::timeout(LIMIT, read).await.unwrap();
        assert_eq!((read.unwrap(), rest.len()), (0, 0));
    }

    async fn stranger(&self) -> Stranger {
        Stranger::at(&self.server.url()).await.unwrap()
    }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let address = proxy.url().replace("redis://", "");
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn held_bytes_arrive_after_their_sender_has_gone() {
    let mut rig = Rig::new().await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.proxy.to_server(Flow::Hold);
    rig.say("SET k late").await;
    let old = rig.proxy.leave_behind();
    old.cut_clients();
    rig.expect_end().await;
    let stranger = rig.stranger().await;
    assert_eq!(stranger.ask::<Option<String>>("GET k").await.unwrap(), None);
    rig.client = connect(&rig.proxy).await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    old.to_server(Flow::Pass);
    let arrived = until("the bytes arrive", LIMIT, async || {
        Ok(stranger.ask::<Option<String>>("GET k").await?.as_deref() == Some("late"))
    });
    arrived.await.unwrap();
}

#[tokio::test]
async fn pushes_are_dropped_and_nothing_else() {
    let mut rig = Rig::new().await;
    let stranger = rig.stranger().await;
    rig.say("HELLO 3").await;
    rig.say("CLIENT TRACKING ON NOLOOP").await;
    rig.say("ECHO ready").await;
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"$5\r\nready\r\n") {
        greeting.push(rig.client.read_u8().await.unwrap());
    }
    for drops in [false, true, false] {
        rig.say("GET k").await;
        let flow = if drops { Flow::DropPushes } else { Flow::Pass };
        rig.proxy.to_client(flow);
        rig.expect("_\r\n").await;
        stranger.ask::<()>("SET k 1").await.unwrap();
        stranger.ask::<()>("DEL k").await.unwrap();
        rig.say("PING").await;
        if !drops {
            rig.expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")
                .await;
        }
        rig.expect("+PONG\r\n").await;
    }
    assert_eq!(rig.proxy.traffic().pushes_dropped, 1);
}

#[tokio::test]
async fn a_reply_is_cut_flipped_doubled_or_followed_by_junk() {
    let mut rig = Rig::new().await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.proxy.to_client(Flow::Flip { at: 1 });
    rig.say("PING").await;
    rig.expect("+pONG\r\n").await;
    rig.proxy.to_client(Flow::Inject(b"junk"));
    rig.say("PING").await;
    rig.expect("+PONG\r\njunk").await;
    rig.proxy.to_client(Flow::DuplicateOne);
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n+PONG\r\n").await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.proxy.to_client(Flow::CutAfter(3));
    rig.say("PING").await;
    rig.expect("+PO").await;
    rig.expect_end().await;
    assert_eq!(rig.proxy.traffic().connections, 1);
}

#[tokio::test]
async fn a_half_open_link_stays_silent_and_a_new_one_works() {
    let mut rig = Rig::new().await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.proxy.to_client(Flow::Swallow);
    rig.proxy.to_server(Flow::Swallow);
    let old = rig.proxy.leave_behind();
    rig.say("PING").await;
    rig.expect_nothing().await;
    let silent = std::mem::replace(&mut rig.client, connect(&rig.proxy).await);
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.client = silent;
    old.cut(Ending::Fin);
    rig.expect_end().await;
}

#[tokio::test]
async fn a_reset_is_a_reset_and_doors_close() {
    let mut rig = Rig::new().await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    rig.proxy.cut(Ending::Reset);
    let mut byte = [0];
    let error = rig.client.read(&mut byte).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    rig.proxy.door(Door::Refuse);
    rig.client = connect(&rig.proxy).await;
    let refused = rig.client.read(&mut byte).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionReset);
    rig.proxy.door(Door::Silent);
    rig.client = connect(&rig.proxy).await;
    rig.say("PING").await;
    rig.expect_nothing().await;
    rig.proxy.heal();
    rig.client = connect(&rig.proxy).await;
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
}

#[tokio::test]
async fn delays_and_slices_keep_the_order_and_commands_are_counted() {
    let mut rig = Rig::new().await;
    let by = Duration::from_millis(40);
    rig.proxy.to_client(Flow::Delay(by));
    let sent = crate::clock::now();
    for number in 0..20 {
        let frame = format!("*2\r\n$4\r\necho\r\n$2\r\n{:02}\r\n", number);
        rig.client.write_all(frame.as_bytes()).await.unwrap();
    }
    for number in 0..20 {
        rig.expect(&format!("$2\r\n{number:02}\r\n")).await;
    }
    let took = crate::clock::now() - sent;
    assert!(took >= by && took < 10 * by, "{took:?}");
    assert_eq!(rig.proxy.commands("ECHO"), 20);
    let pause = Duration::from_millis(5);
    rig.proxy.to_client(Flow::Slice { size: 1, pause });
    let sent = crate::clock::now();
    rig.say("PING").await;
    rig.expect("+PONG\r\n").await;
    assert!(crate::clock::now() - sent >= 7 * pause);
}
