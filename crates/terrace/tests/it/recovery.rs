//! Finding back to the store: without storms, and whatever one key does.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    time::timeout,
};

use terrace::{
    RedisStore,
    testing::{Call, Fault},
};

use crate::{
    pending::{Set, set},
    rig::{eventually, in_time, numbers, seconds},
};

const LOOK_FOR: Duration = Duration::from_secs(3);
const MOST_CONNECTIONS: u64 = 15;

/// Answers the greeting of every connection and hangs up; counts them.
async fn hang_up(listener: TcpListener, count: watch::Sender<u64>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        count.send_modify(|count| *count += 1);
        tokio::spawn(async move {
            let mut bytes = [0; 4_096];
            let length = stream.read(&mut bytes).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..length]).to_uppercase();
            let mut reply = String::new();
            if text.contains("HELLO") {
                reply += "%1\r\n+proto\r\n:3\r\n";
            }
            reply += &"+OK\r\n".repeat(text.matches("SETINFO").count());
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_greets_and_hangs_up_is_not_stormed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut count) = watch::channel(0);
    let server = tokio::spawn(hang_up(listener, sender));
    let store = RedisStore::connect(&format!("redis://127.0.0.1:{port}")).unwrap();
    let cache = numbers().store(store).build().unwrap();
    let came = count.wait_for(|count| *count > 0);
    timeout(seconds(5), came)
        .await
        .expect("it connects")
        .unwrap();
    let too_many = count.wait_for(|count| *count > MOST_CONNECTIONS);
    let stormed = timeout(LOOK_FOR, too_many).await.is_ok();
    let count = *count.borrow();
    eprintln!("greeted and hung up: {count} connections within {LOOK_FOR:?}");
    assert!(!stormed, "{count} connections");
    drop(cache);
    server.abort();
}

#[tokio::test]
async fn a_key_that_is_always_refused_keeps_no_other_from_being_settled() {
    let it = set();
    it.faults.always(Call::Remove, Fault::Refused);
    for number in 0..50 {
        let key = format!("k{number}");
        assert!(it.here.remove(key).await.unwrap_err().is_store());
    }
    assert!(it.here.remove("bad").await.unwrap_err().is_store());
    assert_eq!(it.here.stats().pending, 51);
    it.faults.heal();
    it.faults.always(Call::Remove.of("bad"), Fault::Refused);
    let one_left = || it.here.stats().pending == 1;
    eventually("the others are settled", seconds(5), one_left).await;
    assert!(it.here.remove("bad").await.unwrap_err().is_store());
    it.faults.heal();
    it.settled().await;
}

/// So many keys that their removals could not be settled in one go.
async fn many_are_pending(it: &Set) -> u64 {
    it.faults.always(Call::Remove, Fault::Refused);
    for number in 0..500 {
        assert!(it.here.remove(format!("k{number}")).await.is_err());
    }
    assert_eq!(it.here.stats().pending, 500);
    it.faults.calls(Call::Remove)
}

/// Each waits for a round trip, and until then others take the old value for true.
#[tokio::test]
async fn what_is_pending_is_settled_many_at_a_time() {
    let it = set();
    many_are_pending(&it).await;
    let answers = it.hold_answers(Call::Remove);
    answers.reached(50).await;
    answers.open();
    it.settled().await;
}

#[tokio::test]
async fn a_cache_that_is_closed_leaves_what_is_pending() {
    let it = set();
    let before = many_are_pending(&it).await;
    let answers = it.hold_answers(Call::Remove);
    answers.reached(1).await;
    in_time("closing", it.here.close()).await;
    answers.open();
    let settled = it.faults.calls(Call::Remove) - before;
    assert!(settled < 500, "{settled} were settled before it closed");
}

/// How many removals are tried in the round that one heartbeat begins, of 500.
async fn tried_in_one_round(fault: Fault) -> u64 {
    let it = set();
    let first = it.hold_answers(Call::Heartbeat);
    first.reached(1).await;
    many_are_pending(&it).await;
    it.faults.always(Call::Remove, fault);
    // Those that an open breaker keeps from the store count as well.
    let tried = || it.here.stats().store_errors + it.here.stats().store_skipped;
    let before = tried();
    let second = it.hold_answers(Call::Heartbeat);
    first.open();
    second.reached(1).await;
    tried() - before
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_left_alone_until_the_next_heartbeat() {
    let tried = tried_in_one_round(Fault::Unreachable).await;
    assert!((1..10).contains(&tried), "{tried} of 500");
}

#[tokio::test]
async fn a_store_that_refuses_every_removal_is_left_alone_until_the_next_heartbeat() {
    let tried = tried_in_one_round(Fault::Refused).await;
    assert!((1..100).contains(&tried), "{tried} of 500");
}
