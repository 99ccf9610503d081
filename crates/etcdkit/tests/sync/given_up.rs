//! Futures that are dropped after any number of polls: no key stays, no lease, and nobody waits in vain.

#![expect(
    clippy::async_yields_async,
    reason = "what is given up begins when all that it needs is there"
)]

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use etcdkit::{
    Client, Result,
    sync::{Held, RwLock},
};

use crate::support::{TTL, soon, start, until_count, until_nothing_is_left};

/// Polls so often at the most; `None` if the future had not ended by then.
struct Polls<F> {
    future: F,
    left: u32,
}

impl<F: Future + Unpin> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(left) = self.left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.left = left;
        match Pin::new(&mut self.future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Makes a call again and again, gives it up one poll later each time, until it has come to its end.
async fn give_up_everywhere<F>(begin: impl AsyncFn(Client) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (_server, client) = start().await;
    for polls in 0.. {
        let future = Box::pin(begin(client.clone()).await);
        let ended = soon(Polls {
            future,
            left: polls,
        });
        let ended = ended.await;
        until_nothing_is_left(&client).await;
        let next = soon(client.lock("l").ttl(TTL)).await.unwrap();
        assert!(next.unlock().await.unwrap());
        match ended {
            Some(result) => {
                result.unwrap();
                assert!(polls > 1, "it has come to its end at once");
                return;
            }
            None => assert!(polls < 1000, "it never ends"),
        }
    }
}

#[tokio::test]
async fn opening_a_session_can_be_given_up_anywhere() {
    give_up_everywhere(async |client| async move {
        let session = client.session().ttl(TTL).await?;
        session.close().await
    })
    .await;
}

#[tokio::test]
async fn acquiring_what_is_free_can_be_given_up_anywhere() {
    give_up_everywhere(async |client| async move { client.lock("l").ttl(TTL).await.map(drop) })
        .await;
    give_up_everywhere(async |client| async move {
        client.lock("l").ttl(TTL).try_lock().await.map(drop)
    })
    .await;
    give_up_everywhere(async |client| {
        let lock = client.rwlock("l").ttl(TTL);
        async move { lock.read().await.map(drop) }
    })
    .await;
    give_up_everywhere(async |client| {
        let lock = client.rwlock("l").ttl(TTL);
        async move { lock.try_write().await.map(drop) }
    })
    .await;
    give_up_everywhere(async |client| {
        let semaphore = client.semaphore("l", 2).ttl(TTL);
        async move { semaphore.acquire().await.map(drop) }
    })
    .await;
    give_up_everywhere(async |client| {
        let election = client.election("l").ttl(TTL);
        async move { election.campaign("me").await.map(drop) }
    })
    .await;
}

/// Waits for something that is released once the wait has begun.
async fn waits_for(
    held: impl Send + 'static,
    client: Client,
    wait: impl Future<Output = Result<()>> + Send + 'static,
) -> Result<()> {
    let release = async {
        until_count(&client, "l/", 2).await;
        drop(held);
    };
    let (waited, ()) = tokio::join!(wait, release);
    waited
}

#[tokio::test]
async fn waiting_can_be_given_up_anywhere() {
    give_up_everywhere(async |client| {
        let held = client.lock("l").ttl(TTL).await.unwrap();
        let lock = client.lock("l").ttl(TTL);
        waits_for(held, client, async move { lock.await.map(drop) })
    })
    .await;
    give_up_everywhere(async |client| {
        let lock: RwLock = client.rwlock("l").ttl(TTL);
        let held = lock.read().await.unwrap();
        waits_for(held, client, async move { lock.write().await.map(drop) })
    })
    .await;
    give_up_everywhere(async |client| {
        let semaphore = client.semaphore("l", 1).ttl(TTL);
        let held = semaphore.acquire().await.unwrap();
        let wait = async move { semaphore.acquire().await.map(drop) };
        waits_for(held, client, wait)
    })
    .await;
    give_up_everywhere(async |client| {
        let election = client.election("l").ttl(TTL);
        let held = election.campaign("me").await.unwrap();
        let wait = async move { election.campaign("you").await.map(drop) };
        waits_for(held, client, wait)
    })
    .await;
}

#[tokio::test]
async fn joining_what_the_session_has_can_be_given_up_anywhere() {
    give_up_everywhere(async |client| {
        let session = client.session().ttl(TTL).await.unwrap();
        let held = session.lock("l").await.unwrap();
        async move {
            let again = session.lock("l").await?;
            drop(held);
            again.unlock().await.map(drop)
        }
    })
    .await;
    give_up_everywhere(async |client| {
        let session = client.session().ttl(TTL).await.unwrap();
        let leads = session.election("l").campaign("me").await.unwrap();
        async move {
            let again = session.election("l").campaign("me again").await?;
            drop(leads);
            again.resign().await.map(drop)
        }
    })
    .await;
    give_up_everywhere(async |client| {
        let session = client.session().ttl(TTL).await.unwrap();
        let leads = session.election("l").campaign("me").await.unwrap();
        let resumed = client.session().lease(session.lease().clone());
        let resumed = resumed.await.unwrap();
        async move {
            let again = resumed.election("l").resume().await?;
            drop(leads);
            again.map(drop).ok_or_else(|| unreachable!("it leads"))
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_done_while_something_is_held_can_be_given_up_anywhere() {
    async fn locked(client: &Client) -> etcdkit::sync::LockGuard {
        client.lock("l").ttl(TTL).await.unwrap()
    }
    give_up_everywhere(async |client| {
        let guard = locked(&client).await;
        async move { guard.unlock().await.map(drop) }
    })
    .await;
    give_up_everywhere(async |client| {
        let guard = locked(&client).await;
        async move {
            write(&guard).await?;
            guard.delete("k").await.map(drop)
        }
    })
    .await;
    give_up_everywhere(async |client| {
        let guard = locked(&client).await;
        async move {
            let fenced = client.stm_builder().fence(&guard);
            let deleted = fenced.run(async |tx| {
                let _: Option<String> = tx.get("k").await?;
                tx.delete("k");
                Ok(())
            });
            deleted.await
        }
    })
    .await;
    give_up_everywhere(async |client| {
        let leads = client.election("l").ttl(TTL).campaign("me").await.unwrap();
        async move {
            leads.proclaim("still me").await?;
            leads.resign().await.map(drop)
        }
    })
    .await;
    give_up_everywhere(async |client| {
        let guard = locked(&client).await;
        async move {
            let (lost, ()) = tokio::join!(guard.lost(), async {
                tokio::task::yield_now().await;
                client.delete(guard.key()).await.unwrap();
            });
            drop(lost);
            Ok(())
        }
    })
    .await;
}

/// A write that leaves with its lease, so that nothing is left where it is not undone.
async fn write(held: &Held) -> Result<()> {
    let put = held.put("k", "v").lease(held.session().id());
    put.await.map(drop)
}
