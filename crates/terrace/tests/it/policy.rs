//! What L1 keeps, whatever the policy: what it was told it may, and no more.

use terrace::{BoxError, Cache, Policy};

use crate::rig::{PATIENCE, POLICIES, eventually, numbers};

#[tokio::test]
async fn entries_stay_within_the_capacity() {
    for policy in POLICIES {
        let cache = numbers().policy(policy).capacity(100).build().unwrap();
        for number in 0..10_000 {
            cache.set(format!("k{number}"), number).await.unwrap();
        }
        let bounded = || {
            // Reads drive the engines' housekeeping.
            cache.peek("k0");
            cache.stats().entries <= 100
        };
        eventually(&format!("{policy:?} is within bounds"), PATIENCE, bounded).await;
        let held = (0..10_000).filter(|number| cache.peek(format!("k{number}")).is_some());
        let held = held.count();
        assert!((50..=164).contains(&held), "{policy:?} holds {held}");
        assert_eq!(cache.stats().capacity, 100);
    }
}

#[tokio::test]
async fn weights_stay_within_the_capacity_and_what_is_too_heavy_is_not_kept() {
    for policy in POLICIES {
        let weigh = |_: &str, text: &String| u32::try_from(text.len()).unwrap();
        let builder = Cache::builder("texts").policy(policy);
        let cache: Cache<String> = builder.weighed_capacity(10_000, weigh).build().unwrap();
        let text = "x".repeat(100);
        for number in 0..1_000 {
            cache.set(format!("k{number}"), text.clone()).await.unwrap();
        }
        let weight = || {
            let held = (0..1_000).filter(|number| cache.peek(format!("k{number}")).is_some());
            100 * held.count()
        };
        let bounded = || weight() <= 10_000;
        eventually(&format!("{policy:?} is within bounds"), PATIENCE, bounded).await;
        assert!(weight() >= 5_000, "{policy:?} holds only {}", weight());

        let heavy = "x".repeat(10_001);
        let answer = cache
            .get_or_load("heavy", || {
                let heavy = heavy.clone();
                async move { Ok::<_, BoxError>(heavy) }
            })
            .await
            .unwrap();
        assert_eq!(answer.len(), 10_001, "the caller gets it all the same");
        let gone = || {
            cache.peek("k0");
            cache.peek("heavy").is_none()
        };
        eventually(&format!("{policy:?} gives it up"), PATIENCE, gone).await;
    }
}

/// S3-FIFO divides the whole among shards, and keeps nothing heavier than one.
#[tokio::test]
async fn an_entry_of_a_tenth_of_the_whole_weight_is_kept() {
    for policy in POLICIES {
        for total in [1_000_u64, 1 << 20, 1 << 26] {
            let weigh = move |_: &str, weight: &u64| u32::try_from(*weight).unwrap();
            let builder = Cache::builder("weights").policy(policy);
            let cache: Cache<u64> = builder.weighed_capacity(total, weigh).build().unwrap();
            cache.set("k", total / 10).await.unwrap();
            assert!(cache.peek("k").is_some(), "{policy:?}, {total}");
        }
    }
}

#[tokio::test]
async fn weights_of_nothing_do_not_pile_up() {
    for policy in POLICIES {
        let cache = numbers()
            .policy(policy)
            .weighed_capacity(100, |_, _| 0)
            .build()
            .unwrap();
        for number in 0..10_000 {
            cache.set(format!("k{number}"), number).await.unwrap();
        }
        let bounded = || {
            let held = (0..10_000).filter(|number| cache.peek(format!("k{number}")).is_some());
            held.count() <= 100
        };
        eventually(&format!("{policy:?} is within bounds"), PATIENCE, bounded).await;
    }
}

#[tokio::test]
async fn a_cache_for_one_entry_holds_one() {
    for policy in POLICIES {
        let cache = numbers().policy(policy).capacity(1).build().unwrap();
        cache.set("k", 1).await.unwrap();
        assert_eq!(cache.peek("k").as_deref(), Some(&1), "{policy:?}");
        cache.set("k", 2).await.unwrap();
        assert_eq!(cache.peek("k").as_deref(), Some(&2), "{policy:?}");
        let load = || async { Ok::<_, BoxError>(3) };
        for key in ["l", "m", "n"] {
            assert_eq!(*cache.get_or_load(key, load).await.unwrap(), 3);
        }
        let one = || {
            let held = ["k", "l", "m", "n"]
                .iter()
                .filter(|key| cache.peek(key).is_some());
            held.count() <= 1
        };
        eventually(&format!("{policy:?} holds one"), PATIENCE, one).await;
    }
}

#[tokio::test]
async fn what_is_read_often_survives_a_scan() {
    for policy in [Policy::TinyLfu, Policy::S3Fifo] {
        let cache = numbers().policy(policy).capacity(1_000).build().unwrap();
        let hot: Vec<String> = (0..500).map(|number| format!("hot {number}")).collect();
        for key in &hot {
            cache.set(key, 1).await.unwrap();
        }
        for _ in 0..10 {
            for key in &hot {
                cache.peek(key);
            }
        }
        for number in 0..20_000 {
            cache.set(format!("scan {number}"), 0).await.unwrap();
        }
        let left = hot.iter().filter(|key| cache.peek(key).is_some()).count();
        eprintln!("{policy:?}: {left} of 500 hot entries survive a scan of 20,000");
        assert!(left >= 400, "{policy:?}: {left}");
    }
}

#[test]
fn the_default_policy_is_s3_fifo() {
    assert_eq!(Policy::default(), Policy::S3Fifo);
    assert_eq!(Policy::Lru.engine(), "moka");
    assert_eq!(Policy::S3Fifo.engine(), "quick_cache");
}
