//! What the headers of an answer say of the store.

use http::HeaderMap;

/// What an answer says of the store that gave it. What a server leaves out is 0: the raft fields with
/// errors, and all but the cluster's id on everything but keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The cluster's id (`X-Etcd-Cluster-Id`).
    pub cluster_id: u64,
    /// The index of the store when it answered (`X-Etcd-Index`). Whoever has read a key and wants to
    /// know of every later change watches from this index plus one.
    pub etcd_index: u64,
    /// The index of the raft log (`X-Raft-Index`).
    pub raft_index: u64,
    /// The term of raft (`X-Raft-Term`), which grows with each election.
    pub raft_term: u64,
}

impl Header {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let number = |name, radix| {
            let text = headers.get(name).and_then(|value| value.to_str().ok());
            text.and_then(|text| u64::from_str_radix(text, radix).ok())
                .unwrap_or_default()
        };
        Self {
            cluster_id: number("x-etcd-cluster-id", 16),
            etcd_index: number("x-etcd-index", 10),
            raft_index: number("x-raft-index", 10),
            raft_term: number("x-raft-term", 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_missing_or_nonsense_is_zero() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-etcd-cluster-id", "cdf818194e3a8c32"),
            ("x-etcd-index", "7"),
            ("x-raft-index", "many"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let header = Header::of(&headers);
        assert_eq!(header.cluster_id, 0xcdf8_1819_4e3a_8c32);
        assert_eq!(
            (header.etcd_index, header.raft_index, header.raft_term),
            (7, 0, 0)
        );
    }
}
