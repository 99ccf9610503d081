//! Reading ranges of any size.

use std::collections::BTreeMap;

use etcdkit::{Client, ErrorKind, KeyRange, KeyValue, Op, Revision, Scan};

use super::keys::{Keys, kind};

async fn all(mut scan: Scan) -> Vec<KeyValue> {
    let mut kvs = Vec::new();
    while let Some(kv) = scan.try_next().await.expect("a page") {
        kvs.push(kv);
    }
    kvs
}

/// Writes the pairs in as few transactions as fit the usual limits; answers the last revision.
async fn write(client: &Client, pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Revision {
    let mut revision = 0;
    let pairs: Vec<_> = pairs.iter().collect();
    for part in pairs.chunks(100) {
        let ops = part.iter().map(|(key, value)| Op::put(*key, *value));
        let done = client.txn().then(ops).await.expect("a transaction");
        revision = done.header.revision;
    }
    revision
}

/// The tails of 600 keys in some order of size and density.
fn distributions(seed: u64) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    const COUNT: usize = 600;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut made = |make: &mut dyn FnMut(&mut fastrand::Rng, usize) -> Vec<u8>| {
        (0..COUNT)
            .map(|index| make(&mut random, index))
            .collect::<Vec<_>>()
    };
    vec![
        (
            "counters",
            made(&mut |_, index| format!("{index:06}").into_bytes()),
        ),
        (
            "counters without zeros",
            made(&mut |_, index| index.to_string().into_bytes()),
        ),
        (
            "random bytes",
            made(&mut |random, _| {
                let length = random.usize(1..12);
                std::iter::repeat_with(|| random.u8(..))
                    .take(length)
                    .collect()
            }),
        ),
        (
            "hashes",
            made(&mut |random, _| format!("{:016x}", random.u64(..)).into_bytes()),
        ),
        (
            "each a prefix of the next",
            made(&mut |_, index| vec![b'a'; index + 1]),
        ),
        (
            "first and last bytes",
            made(&mut |random, _| {
                std::iter::repeat_with(|| random.choice([0, 1, 0xfe, 0xff]).unwrap_or(0))
                    .take(6)
                    .collect()
            }),
        ),
        (
            "two far heaps",
            made(&mut |_, index| {
                let heap = if index % 2 == 0 { 'a' } else { 'z' };
                format!("{heap}/{index:04}").into_bytes()
            }),
        ),
        (
            "folders of unequal size",
            made(&mut |_, index| format!("{}/{index}", index.isqrt()).into_bytes()),
        ),
    ]
}

pub(super) async fn every_pair_is_read_in_order(client: &Client) {
    let seed = fastrand::u64(..);
    for (name, tails) in distributions(seed) {
        let keys = Keys::new();
        let prefix = keys.key("");
        let mut pairs = BTreeMap::new();
        for tail in tails {
            // Mostly small values, now and then one larger than a page.
            let size = match pairs.len() % 200 {
                199 => 20_000,
                small => small,
            };
            pairs.insert([prefix.as_bytes(), &tail].concat(), vec![b'v'; size]);
        }
        // Neighbours that do not belong to the range.
        client
            .put(&prefix[..prefix.len() - 1], "before")
            .await
            .expect("a put");
        write(client, &pairs).await;
        for page_bytes in [1_000, 30_000, 2 << 20] {
            let found = all(client.scan(keys.all()).page_bytes(page_bytes)).await;
            let about = format!("{name} of seed {seed}, pages of {page_bytes} bytes");
            assert!(
                found
                    .iter()
                    .map(|kv| &kv.key[..])
                    .eq(pairs.keys().map(|key| &key[..])),
                "{about}: {} keys instead of {}",
                found.len(),
                pairs.len()
            );
            assert!(
                found
                    .iter()
                    .zip(pairs.values())
                    .all(|(kv, value)| kv.value == value),
                "{about}"
            );
        }
    }
}

pub(super) async fn one_revision_is_read(client: &Client) {
    let keys = Keys::new();
    let pairs = (0..500).map(|index| {
        (
            keys.key(&format!("{index:03}")).into_bytes(),
            vec![b'1'; 50],
        )
    });
    let pairs: BTreeMap<_, _> = pairs.collect();
    let revision = write(client, &pairs).await;

    let mut scan = client.scan(keys.all()).page_bytes(2_000);
    let mut found = Vec::new();
    while let Some(kv) = scan.try_next().await.expect("a page") {
        assert_eq!(scan.pinned_revision(), Some(revision));
        if found.len() % 50 == 0 {
            let index = found.len();
            client
                .put(keys.key(&format!("{:03}", 499 - index)), "2")
                .await
                .expect("a put");
            client
                .put(keys.key(&format!("{index:03}/new")), "2")
                .await
                .expect("a put");
            client
                .delete(keys.key(&format!("{:03}", 498 - index / 2)))
                .await
                .expect("a delete");
        }
        found.push(kv);
    }
    assert!(
        found
            .iter()
            .map(|kv| &kv.key[..])
            .eq(pairs.keys().map(|key| &key[..]))
    );
    assert!(
        found.iter().all(|kv| kv.value == vec![b'1'; 50]),
        "a later value shows"
    );

    let again = all(client.scan(keys.all()).revision(revision)).await;
    assert_eq!(again, found, "an old revision can be scanned");
    let now = all(client.scan(keys.all())).await;
    assert_ne!(now, found, "the newest has changed");
}

pub(super) async fn options_hold_for_every_page(client: &Client) {
    let keys = Keys::new();
    let pairs = (0..300).map(|index| {
        (
            keys.key(&format!("{index:03}")).into_bytes(),
            vec![b'x'; 50],
        )
    });
    write(client, &pairs.collect()).await;
    let found = all(client.scan(keys.all()).keys_only().page_bytes(1_000)).await;
    assert_eq!(found.len(), 300);
    assert!(
        found
            .iter()
            .all(|kv| kv.value.is_empty() && kv.version == 1)
    );
    let part = all(client
        .scan(keys.key("100")..keys.key("200"))
        .page_bytes(1_000))
    .await;
    assert_eq!(part.len(), 100);
    assert_eq!(keys.name(&part[99].key), "199");
}

pub(super) async fn small_ranges_end(client: &Client) {
    let keys = Keys::new();
    assert!(all(client.scan(keys.all())).await.is_empty());
    keys.fill(client, &["a", "b"]).await;
    assert_eq!(keys.names(&all(client.scan(keys.all())).await), ["a", "b"]);
    assert_eq!(keys.names(&all(client.scan(keys.key("a"))).await), ["a"]);
    let mut scan = client.scan(keys.key("b")..keys.key("c"));
    assert!(scan.try_next().await.expect("a page").is_some());
    assert!(scan.try_next().await.expect("the end").is_none());
    assert!(
        scan.try_next().await.expect("the end").is_none(),
        "the end stays"
    );
}

pub(super) async fn wrong_scans_fail_once(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    let wrong = [
        (client.scan(KeyRange::key("")), ErrorKind::EmptyKey),
        (
            client.scan(KeyRange::range("b", "a")),
            ErrorKind::InvalidRequest,
        ),
        (
            client.scan(keys.all()).revision(-1),
            ErrorKind::InvalidRequest,
        ),
        (
            client.scan(keys.all()).revision(revision + 1),
            ErrorKind::FutureRevision,
        ),
    ];
    for (mut scan, expected) in wrong {
        assert_eq!(kind(scan.try_next().await), expected);
        assert!(scan.try_next().await.expect("the end").is_none());
    }
}

/// A compaction in the middle ends a scan with an error or not at all, but never with wrong pairs.
pub(super) async fn a_compaction_cannot_falsify(client: &Client) {
    let keys = Keys::new();
    let pairs = (0..500).map(|index| {
        (
            keys.key(&format!("{index:03}")).into_bytes(),
            vec![b'1'; 200],
        )
    });
    let pairs: BTreeMap<_, _> = pairs.collect();
    write(client, &pairs).await;

    let mut scan = client.scan(keys.all()).page_bytes(3_000);
    let mut expected = pairs.iter();
    let mut read = 0;
    let end = loop {
        match scan.try_next().await {
            Ok(Some(kv)) => {
                let (key, value) = expected.next().expect("no more pairs");
                assert!(kv.key == key && kv.value == value, "{kv:?}");
            }
            end => break end,
        }
        read += 1;
        if read == 10 {
            let deleted = client.delete(keys.all()).await.expect("a delete");
            client
                .compact(deleted.header.revision)
                .physical()
                .await
                .expect("a compaction");
        }
    };
    match end {
        Ok(_) => assert_eq!(read, pairs.len()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Compacted, "{error}"),
    }
    assert!(scan.try_next().await.expect("the end").is_none());
}
