//! Plans are run against a range in memory that counts as a server does.

use super::*;

/// What a scan cost.
#[derive(Debug, Default)]
struct Cost {
    pages: usize,
    /// Keys that the server went over to count the rest of a range.
    counted: usize,
    largest_page: usize,
}

/// Reads a range of these keys, which are in order, as a scan does, and checks that all arrive.
fn run(keys: &[Vec<u8>], range: KeyRange<'_>, value: usize, page_bytes: usize) -> Cost {
    let expected = keys.iter().filter(|key| range.contains(key));
    let value = Bytes::from(vec![0; value]);
    let mut plan = Plan::new(range.clone());
    plan.page_bytes = page_bytes;
    let mut cost = Cost::default();
    let mut found = Vec::new();
    while let Some((asked, limit)) = plan.next() {
        let limit = usize::try_from(limit).unwrap();
        assert!(limit > 0);
        let first = keys.partition_point(|key| key[..] < *asked.start());
        let rest = &keys[first..];
        let rest = &rest[..rest.partition_point(|key| asked.contains(key))];
        cost.pages += 1;
        cost.counted += rest.len();
        assert!(cost.pages < 10_000 + keys.len(), "no end: {cost:?}");
        let kvs: Vec<_> = rest
            .iter()
            .take(limit)
            .map(|key| KeyValue {
                key: Bytes::copy_from_slice(key),
                value: value.clone(),
                ..KeyValue::default()
            })
            .collect();
        cost.largest_page = cost.largest_page.max(kvs.len());
        let page = RangeResponse {
            more: kvs.len() < rest.len(),
            count: rest.len() as i64,
            kvs,
            ..RangeResponse::default()
        };
        plan.advance(&page).unwrap();
        found.extend(page.kvs.into_iter().map(|kv| kv.key));
    }
    assert!(found.iter().eq(expected), "{} found", found.len());
    cost
}

fn in_order(keys: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort();
    keys.dedup();
    keys
}

fn random() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn every_key_arrives_once_and_in_order() {
    let mut rng = random();
    for _ in 0..100 {
        let alphabet: &[u8] = match rng.u8(..3) {
            0 => b"0123456789",
            1 => b"\0\x01\xfe\xff",
            _ => b"/abcdefghijklmnopqrstuvwxyz",
        };
        let stem = &b"/registry/pods/"[..rng.usize(..15)];
        let longest = rng.usize(2..24);
        let keys = in_order((0..rng.usize(..5_000)).map(|_| {
            let tail = (0..rng.usize(1..longest)).map(|_| alphabet[rng.usize(..alphabet.len())]);
            stem.iter().copied().chain(tail).collect()
        }));
        let middle = keys.get(keys.len() / 2).cloned().unwrap_or(vec![1]);
        let last = keys.last().cloned().unwrap_or(vec![1]);
        let page_bytes = 1 << rng.u8(..16);
        for range in [
            KeyRange::all(),
            KeyRange::prefix(stem),
            KeyRange::prefix(&middle[..middle.len().div_ceil(2)]),
            KeyRange::key(&middle),
            KeyRange::from(..&middle),
            KeyRange::from(&middle..=&last),
            KeyRange::from_key(&middle),
        ] {
            run(&keys, range, rng.usize(..100), page_bytes);
        }
    }
}

/// Reading n pairs must cost the server about n, whatever the number of pages.
#[test]
fn counting_stays_in_proportion_to_reading() {
    let mut rng = random();
    let decimal = (0..200_000).map(|n| format!("key-{n:06}").into_bytes());
    let plain = (0..200_000).map(|n| format!("key-{n}").into_bytes());
    let hashes: Vec<u64> = (0..200_000).map(|_| rng.u64(..)).collect();
    let hashed = hashes
        .iter()
        .map(|hash| format!("/registry/pods/default/web-{hash:016x}").into_bytes());
    let namespaced = (0..200_000).map(|n| {
        format!(
            "/registry/pods/team-{}/web-{:08x}",
            n % 40,
            hashes[n] as u32
        )
        .into_bytes()
    });
    let binary = (0..200_000u64).map(|n| (n * 7919).to_be_bytes().to_vec());
    for (name, keys) in [
        ("decimal", in_order(decimal)),
        ("plain", in_order(plain)),
        ("hashed", in_order(hashed)),
        ("namespaced", in_order(namespaced)),
        ("binary", in_order(binary)),
    ] {
        let cost = run(&keys, KeyRange::all(), 256, 64 << 10);
        println!("{name}: {cost:?}");
        // Plain paging would count 80 million keys for its 900 pages.
        assert!(cost.counted < 60 * keys.len(), "{name}: {cost:?}");
        assert!(cost.pages < 2500, "{name}: {cost:?}");
        let cost = run(&keys, KeyRange::all(), 256, PAGE_BYTES);
        println!("{name}, pages as usual: {cost:?}");
        // Plain pages of 10,000 pairs, about as large, would count 2.1 million.
        assert!(cost.counted < 2_100_000, "{name}: {cost:?}");
        assert!(cost.pages < 60, "{name}: {cost:?}");
    }
}

#[test]
fn pages_hold_about_the_bytes_asked_for() {
    let keys = in_order((0..20_000).map(|n| format!("{n:06}").into_bytes()));
    for (value, page_bytes) in [
        (0, 1 << 16),
        (256, 1 << 16),
        (256, 1 << 21),
        (10_000, 1 << 20),
    ] {
        let cost = run(&keys, KeyRange::all(), value, page_bytes);
        let bytes = cost.largest_page * (value + 6 + PAIR_OVERHEAD);
        assert!(bytes <= page_bytes.max(32 * (value + 30)), "{cost:?}");
        assert!(bytes >= page_bytes / 2, "{cost:?}");
    }
}

#[test]
fn a_small_range_takes_one_page() {
    let keys = in_order((0..32).map(|n| vec![n + 1]));
    assert_eq!(run(&keys, KeyRange::all(), 10, PAGE_BYTES).pages, 1);
    assert_eq!(run(&[], KeyRange::all(), 10, PAGE_BYTES).pages, 1);
    assert_eq!(run(&keys, KeyRange::key([7]), 10, PAGE_BYTES).pages, 1);
}

#[test]
fn a_page_that_makes_no_sense_ends_the_scan() {
    let empty = RangeResponse {
        more: true,
        count: 5,
        ..RangeResponse::default()
    };
    assert!(Plan::new(KeyRange::all()).advance(&empty).is_err());
    let backwards = RangeResponse {
        kvs: vec![KeyValue {
            key: "a".into(),
            ..KeyValue::default()
        }],
        ..empty
    };
    assert!(
        Plan::new(KeyRange::from_key("b"))
            .advance(&backwards)
            .is_err()
    );
}
