//! Transactions in memory whose closures do what closures may do: panic, hold locks, run others, read much.

use std::sync::atomic::{AtomicU32, Ordering};

use etcdkit::{
    ErrorKind, Op, Result,
    sync::{Isolation, Transaction},
};

use crate::support::{TTL, soon, start, until_count};

#[tokio::test]
async fn a_closure_that_panics_has_written_nothing_and_is_in_nobodys_way() {
    let (_server, client) = start().await;
    let panics = client.clone();
    let ended = tokio::spawn(async move {
        let run = panics.stm(async |tx| {
            let k: u32 = tx.get("k").await?.unwrap_or(0);
            tx.put("k", k + 1);
            assert_eq!(tx.attempt(), 0, "on purpose");
            Ok(())
        });
        run.await
    });
    assert!(soon(ended).await.unwrap_err().is_panic());
    assert_eq!(client.get("k").await.unwrap(), None);
    let after = client.stm(async |tx| {
        tx.put("k", 7);
        Ok(())
    });
    soon(after).await.unwrap();
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "7");
}

#[tokio::test]
async fn a_closure_that_takes_a_lock_has_it_anew_in_each_attempt() {
    let (_server, client) = start().await;
    client.put("k", "0").await.unwrap();
    let run = client.stm_builder().commit(async |tx| {
        let guard = client.lock("l").ttl(TTL).await?;
        let k: u32 = tx.get("k").await?.unwrap_or(0);
        if tx.attempt() == 1 {
            client.put("k", "40").await?;
        }
        tx.put("k", k + 1);
        Ok(guard.fencing_token())
    });
    let done = soon(run).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "41");
    until_count(&client, "l/", 0).await;
}

#[tokio::test]
async fn a_transaction_that_changes_what_the_one_around_it_has_read_is_a_conflict_each_time() {
    let (_server, client) = start().await;
    let inner = AtomicU32::new(0);
    let outer = client.stm_builder().attempts(3).run(async |tx| {
        let k: u32 = tx.get("k").await?.unwrap_or(0);
        client
            .stm(async |tx| {
                let k: u32 = tx.get("k").await?.unwrap_or(0);
                tx.put("k", k + 1);
                Ok(())
            })
            .await?;
        inner.fetch_add(1, Ordering::Relaxed);
        tx.put("k", k + 100);
        Ok(())
    });
    let error = soon(outer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(inner.into_inner(), 3);
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "3");
}

#[tokio::test]
async fn values_of_megabytes_are_read_again_after_a_conflict() {
    const LARGE: usize = 1 << 20;
    let (_server, client) = start().await;
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        client.put(key, vec![b'1'; LARGE]).await.unwrap();
    }
    let run = client.stm_builder().prefetch(keys).commit(async |tx| {
        let mut read = Vec::new();
        for key in keys {
            let value: Vec<u8> = tx.get(key).await?.unwrap_or_default();
            read.push((value.len(), value[0]));
        }
        if tx.attempt() == 1 {
            client.put("c", vec![b'2'; LARGE]).await?;
        }
        tx.put("seen", "yes");
        Ok(read)
    });
    let done = soon(run).await.unwrap();
    assert_eq!(done.attempts, 2);
    let [one, two] = [b'1', b'2'].map(|byte| (LARGE, byte));
    assert_eq!(done.value, [one, one, two, one, one]);
}

/// Puts a key unless another one is there.
async fn put_unless(tx: &mut Transaction, other: &str, own: &str) -> Result<()> {
    let found: Option<String> = tx.get(other).await?;
    if found.is_none() {
        tx.put(own, "here");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_that_each_go_where_the_other_is_not_one_stays_out_unless_nothing_is_checked() {
    use Isolation::{ReadCommitted, RepeatableReads, Serializable, SerializableSnapshot};

    let (_server, client) = start().await;
    for isolation in [
        SerializableSnapshot,
        Serializable,
        RepeatableReads,
        ReadCommitted,
    ] {
        let isolated = || client.stm_builder().isolation(isolation);
        let run = isolated().commit(async |tx| {
            let _: Option<String> = tx.get("b").await?;
            if tx.attempt() == 1 {
                let other = isolated().run(async |tx| put_unless(tx, "a", "b").await);
                other.await?;
            }
            put_unless(tx, "b", "a").await
        });
        let attempts = soon(run).await.unwrap().attempts;
        let there = [client.get("a").await, client.get("b").await];
        let there = there.map(|found| found.unwrap().is_some());
        let is_checked = isolation != ReadCommitted;
        assert_eq!(there, [!is_checked, true], "{isolation:?}");
        assert_eq!(attempts, 1 + u32::from(is_checked), "{isolation:?}");
        let both = [Op::delete("a"), Op::delete("b")];
        client.txn().then(both).await.unwrap();
    }
}
