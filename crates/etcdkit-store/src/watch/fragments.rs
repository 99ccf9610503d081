//! Splitting responses that are too large for one message.

use etcdkit_proto::etcdserverpb::WatchResponse;
use prost::Message;
use prost::encoding::{encoded_len_varint, key_len};

/// The number of the field `events`.
const EVENTS_FIELD: u32 = 11;

/// Splits a response into parts smaller than `max_bytes` each, unless a single event is larger.
/// All parts but the last say that more follow.
pub(super) fn split(mut response: WatchResponse, max_bytes: usize) -> Vec<WatchResponse> {
    if response.events.len() < 2 || response.encoded_len() < max_bytes {
        return vec![response];
    }
    let events = std::mem::take(&mut response.events);
    response.fragment = true;
    let envelope = response.encoded_len();
    let mut parts = vec![response.clone()];
    let mut size = envelope;
    for event in events {
        let length = event.encoded_len();
        let length = key_len(EVENTS_FIELD) + encoded_len_varint(length as u64) + length;
        if let Some(part) = parts.last_mut()
            && (part.events.is_empty() || size + length < max_bytes)
        {
            part.events.push(event);
            size += length;
            continue;
        }
        size = envelope + length;
        parts.push(WatchResponse {
            events: vec![event],
            ..response.clone()
        });
    }
    if let Some(last) = parts.last_mut() {
        last.fragment = false;
    }
    parts
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::mvccpb::{Event, KeyValue};

    use super::*;

    fn response(sizes: &[usize]) -> WatchResponse {
        let events = sizes.iter().map(|size| Event {
            kv: Some(KeyValue {
                value: vec![0; *size].into(),
                ..Default::default()
            }),
            ..Default::default()
        });
        WatchResponse {
            watch_id: 7,
            events: events.collect(),
            ..Default::default()
        }
    }

    fn sizes(sizes: &[usize], max_bytes: usize) -> Vec<(usize, bool)> {
        let parts = split(response(sizes), max_bytes);
        for part in &parts {
            assert_eq!(part.watch_id, 7);
            assert!(part.events.len() == 1 || part.encoded_len() < max_bytes);
        }
        let parts = parts.iter();
        parts
            .map(|part| (part.events.len(), part.fragment))
            .collect()
    }

    #[test]
    fn small_responses_and_single_events_stay_whole() {
        assert_eq!(sizes(&[], 100), [(0, false)]);
        assert_eq!(sizes(&[5_000], 100), [(1, false)]);
        assert_eq!(sizes(&[400, 400], 1_000), [(2, false)]);
    }

    #[test]
    fn parts_are_as_large_as_they_may_be() {
        assert_eq!(
            sizes(&[500_000; 5], 2 * 1024 * 1024),
            [(4, true), (1, false)]
        );
        assert_eq!(
            sizes(&[10, 5_000, 10, 10], 1_000),
            [(1, true), (1, true), (2, false)]
        );
    }
}
