//! Our RwLock, and the keys that the RWMutex of etcd's Go client makes: `<name>/read/<unix nanoseconds>` and
//! `<name>/write/<unix nanoseconds>`, each of which waits until none of the keys that concern it was
//! modified before it.

use etcdkit::{Client, KeyRange, Revision, SortOrder, SortTarget};
use etcdkit_testkit::queue::queue_of;

use crate::site::{each_site, not_yet, queues, soon};

/// A place in the queue as the Go client makes it.
struct Theirs<'a> {
    client: &'a Client,
    key: String,
    /// The keys that it waits for are those with this prefix.
    waits_for: String,
    revision: Revision,
}

impl<'a> Theirs<'a> {
    async fn read(client: &'a Client, name: &str) -> Self {
        Self::enter(client, format!("{name}/read"), format!("{name}/write")).await
    }

    async fn write(client: &'a Client, name: &str) -> Self {
        Self::enter(client, format!("{name}/write"), format!("{name}/")).await
    }

    async fn enter(client: &'a Client, directory: String, waits_for: String) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let key = format!("{directory}/{}", now.expect("a clock").as_nanos());
        let put = client.put(&*key, "").await.expect("a put");
        Self {
            client,
            key,
            waits_for,
            revision: put.header.revision,
        }
    }

    /// What it waits for, if it must: what was last modified before its own key was.
    async fn waits(&self) -> Option<String> {
        let before = self
            .client
            .range(KeyRange::prefix(&self.waits_for))
            .sort_by(SortTarget::ModRevision, SortOrder::Descending)
            .max_mod_revision(self.revision - 1)
            .limit(1)
            .await
            .expect("a range");
        let last = before.kvs.first();
        last.map(|kv| String::from_utf8_lossy(&kv.key).into_owned())
    }

    async fn leave(self) {
        self.client.delete(&*self.key).await.expect("a deletion");
    }
}

#[tokio::test]
async fn our_readers_wait_for_their_writers_only() {
    each_site(async |site| {
        let rwlock = site.client.rwlock("l");
        let reader = Theirs::read(&site.client, "l").await;
        let ours = soon(rwlock.read()).await.expect("readers share it");
        let writer = Theirs::write(&site.client, "l").await;
        let mut waiting = Box::pin(rwlock.read());
        queues(site, &mut waiting, ("l", 4)).await;
        let tried = rwlock.try_read().await.expect("an answer");
        assert!(tried.is_none(), "{site}: {tried:?}");
        reader.leave().await;
        not_yet(site, &mut waiting).await;
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        assert_eq!(writer.waits().await, None, "{site}");
        not_yet(site, &mut waiting).await;
        writer.leave().await;
        let ours = soon(waiting).await.expect("a hold");
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}

#[tokio::test]
async fn our_writers_wait_for_all_of_theirs() {
    each_site(async |site| {
        let rwlock = site.client.rwlock("l");
        let reader = Theirs::read(&site.client, "l").await;
        let writer = Theirs::write(&site.client, "l").await;
        let tried = rwlock.try_write().await.expect("an answer");
        assert!(tried.is_none(), "{site}: {tried:?}");
        let mut waiting = Box::pin(rwlock.write());
        queues(site, &mut waiting, ("l", 3)).await;
        writer.leave().await;
        not_yet(site, &mut waiting).await;
        reader.leave().await;
        let ours = soon(waiting).await.expect("a hold");
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}

#[tokio::test]
async fn theirs_wait_for_ours_as_they_would_for_each_other() {
    each_site(async |site| {
        let rwlock = site.client.rwlock("l");
        let key = |key: &[u8]| Some(String::from_utf8_lossy(key).into_owned());

        let ours = rwlock.read().await.expect("a hold");
        assert_eq!(
            ours.key(),
            format!("l/read/{:x}", ours.session().id().0).as_bytes(),
            "{site}"
        );
        let reader = Theirs::read(&site.client, "l").await;
        assert_eq!(reader.waits().await, None, "{site}");
        let writer = Theirs::write(&site.client, "l").await;
        assert_eq!(writer.waits().await.as_ref(), Some(&reader.key), "{site}");
        reader.leave().await;
        assert_eq!(writer.waits().await, key(ours.key()), "{site}");
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        assert_eq!(writer.waits().await, None, "{site}");
        writer.leave().await;

        let ours = rwlock.write().await.expect("a hold");
        assert_eq!(
            ours.key(),
            format!("l/write/{:x}", ours.session().id().0).as_bytes(),
            "{site}"
        );
        let reader = Theirs::read(&site.client, "l").await;
        let writer = Theirs::write(&site.client, "l").await;
        assert_eq!(reader.waits().await, key(ours.key()), "{site}");
        assert_eq!(writer.waits().await.as_ref(), Some(&reader.key), "{site}");
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        assert_eq!(reader.waits().await, None, "{site}");
        reader.leave().await;
        assert_eq!(writer.waits().await, None, "{site}");
        writer.leave().await;
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}
