//! The deliberate differences between the embedded server's v2 API and that of real etcds.
//!
//! Not listed, because no test sends them, are streams that begin in the past, which real servers end
//! after one event without a word, roles with an empty pattern, on which they break off requests, and
//! request lines with a `#`, which to them is part of the path.

use super::{
    answer::{Answer, Line, Shown},
    json::Json,
    step::Step,
};
use crate::{
    differential::{Difference, Versions},
    etcd::Version,
};

const V3_5: Version = Version::new(3, 5, 0);

/// The first version that the embedded server can call itself.
const FIRST_NAMED: Version = Version::new(3, 5, 13);

/// The list.
pub(super) const DIFFERENCES: &[Difference<Step, Answer>] = &[
    Difference {
        name: "update of a directory",
        reason: "3.5 cannot do it (etcd issue 13589): it fails after its checks, as no other version does",
        versions: Versions::Since(V3_5),
        excuses: |_, real, _| {
            let errors = real.shown().iter().filter_map(Shown::keys_error);
            let mut causes =
                errors.map(|(code, cause)| code == 300 && cause.contains("Not a file"));
            causes.any(|is_it| is_it)
        },
    },
    Difference {
        name: "bytes that are not text",
        reason: "etcd writes U+FFFD with an escape where it stands for bytes that are not UTF-8",
        versions: Versions::All,
        excuses: |_, real, embedded| {
            let plain = |answer: &Answer| format!("{answer:?}").replace("\\ufffd", "\u{fffd}");
            plain(real) == plain(embedded)
        },
    },
    Difference {
        name: "a directory by the beginning of its name",
        reason: "in its history etcd takes the removal of /de for one of /delicious",
        versions: Versions::All,
        excuses: |step, real, _| {
            let Step::Open { request, .. } = step else {
                return false;
            };
            let path = request.target.split('?').next().unwrap_or_default();
            let path = path.trim_start_matches("/v2/keys");
            let mut lines = real.shown().iter().flat_map(Shown::json);
            lines.any(|event| {
                let node = event.get("node");
                let removed = node.and_then(|node| node.get("key")).and_then(Json::text);
                let is_directory = node.is_some_and(|node| node.get("dir").is_some());
                let rest = removed.and_then(|removed| path.strip_prefix(&removed));
                is_directory && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            })
        },
    },
    Difference {
        name: "characters that no URL has",
        reason: "Go reads paths with them, which no client sends as they are",
        versions: Versions::All,
        excuses: |step, _, embedded| {
            let is_odd = |target: &str| target.contains(['<', '>', '"', '\\', '^', '`', '{', '}']);
            let mut requests = step.requests().iter();
            requests.any(|request| is_odd(&request.target))
                && only(embedded).is_some_and(|shown| shown.code() == 400 && shown.is_empty())
        },
    },
    Difference {
        name: "the heads of what Go's server refuses by itself",
        reason: "they say neither the date nor who may ask; the number and the body are the same",
        versions: Versions::All,
        excuses: |_, real, embedded| {
            let (Some(real), Some(embedded)) = (only(real), only(embedded)) else {
                return false;
            };
            let is_etcds = real.header("access-control-allow-origin").is_some();
            let ends = |shown: &Shown| shown.header("connection") == Some("close");
            !is_etcds
                && (ends(real), real.code(), &real.body)
                    == (ends(embedded), embedded.code(), &embedded.body)
        },
    },
    Difference {
        name: "words about wrong JSON and wrong URLs",
        reason: "they are those of Go's parsers; what is refused, and as what, is the same",
        versions: Versions::All,
        excuses: |_, real, embedded| {
            let (Some(real), Some(embedded)) = (only(real), only(embedded)) else {
                return false;
            };
            let said = real.json().next().and_then(|json| json.get("message"));
            let said = said.and_then(Json::text).unwrap_or_default();
            let is_gos = [
                "json: ",
                "invalid character ",
                "unexpected end of JSON",
                "EOF",
                "parse ",
            ]
            .iter()
            .any(|start| said.starts_with(start));
            is_gos && (&real.status, &real.headers) == (&embedded.status, &embedded.headers)
        },
    },
    Difference {
        name: "another version",
        reason: "3.4 and before 3.5.13 are versions that the embedded server does not call itself",
        versions: Versions::Before(FIRST_NAMED),
        excuses: |step, _, embedded| {
            let mut requests = step.requests().iter();
            let asks = requests.any(|request| request.target.starts_with("/version"));
            asks && only(embedded).is_some_and(|shown| shown.code() == 200)
        },
    },
    Difference {
        name: "no reason for health",
        reason: "3.4 does not say why it is well",
        versions: Versions::Before(V3_5),
        excuses: |step, real, _| {
            let mut requests = step.requests().iter();
            let asks = requests.any(|request| request.target.starts_with("/health"));
            let said = only(real).and_then(|shown| shown.body.first());
            let is_short = |line: &Line| format!("{line:?}") == r#"{"health":"true"}"#;
            asks && said.is_some_and(is_short)
        },
    },
];

/// The answer, if there is one.
fn only(answer: &Answer) -> Option<&Shown> {
    match answer.shown() {
        [shown] => Some(shown),
        _ => None,
    }
}

/// Whether servers that answered so have different states now, so that nothing more can be compared.
pub(super) fn have_parted(real: &Answer, embedded: &Answer) -> bool {
    let indexes = |answer: &Answer| -> Vec<Option<String>> {
        let shown = answer.shown().iter();
        shown
            .map(|shown| shown.header("x-etcd-index").map(str::to_owned))
            .collect()
    };
    indexes(real) != indexes(embedded)
}
