//! What servers said, side by side.

use etcdkit_testkit::etcd::Version;

use crate::site::Kind;

/// What was asked, and what was answered, in order.
pub(crate) type Transcript = Vec<(String, String)>;

/// A difference between versions of etcd: where one answers other than the embedded server, which
/// follows 3.6.
struct Known {
    from: Version,
    before: Version,
    /// A part of the question.
    asked: &'static str,
    /// The beginning of etcd's answer.
    answered: &'static str,
}

const EARLIEST: Version = Version::new(3, 0, 0);
/// The first of those found here that asks everywhere whose a request is; 3.5.16 does not yet.
const STRICT: Version = Version::new(3, 5, 30);
const V3_6: Version = Version::new(3, 6, 0);
const V3_7: Version = Version::new(3, 7, 0);
const LATEST: Version = Version::new(4, 0, 0);

const fn known(
    from: Version,
    before: Version,
    asked: &'static str,
    answered: &'static str,
) -> Known {
    Known {
        from,
        before,
        asked,
        answered,
    }
}

const KNOWN: [Known; 13] = [
    // Asks for a user and for permissions in fewer places.
    known(EARLIEST, STRICT, "", "ok"),
    known(EARLIEST, STRICT, "compact", "OutOfRange: "),
    known(EARLIEST, STRICT, "revoke of none", "NotFound: "),
    // But has no exception for root there.
    known(EARLIEST, STRICT, "old root: revoke", "InvalidArgument: "),
    known(EARLIEST, STRICT, "root: keys of lease", "InvalidArgument: "),
    known(EARLIEST, STRICT, "auth status", "Unimplemented: "),
    // Looks at tokens while authentication is off.
    known(
        EARLIEST,
        Version::new(3, 5, 0),
        "off, ",
        "Unauthenticated: ",
    ),
    // Crashes at tokens without a user, or without a revision.
    known(EARLIEST, Version::new(3, 5, 0), "other types: ", ""),
    // Looks at more claims.
    known(EARLIEST, V3_6, "issued in the future", ""),
    // Has no codes for refusals there; 3.5.32 has.
    known(EARLIEST, V3_6, "", "Unknown: auth: "),
    // Wants root, until 3.5.32.
    known(STRICT, V3_6, ": status", ""),
    // Takes a scheme for a part of the token, until 3.5.32.
    known(EARLIEST, V3_6, "bearer", "Unauthenticated: "),
    // Answers anybody.
    known(V3_7, LATEST, "auth status", "ok"),
];

/// Runs a scene on the embedded server and on every real etcd, and compares what they say. Returns what the
/// embedded server did.
pub(crate) async fn compare(scene: impl AsyncFn(&Kind) -> Transcript) -> Transcript {
    let mut embedded = Transcript::new();
    let mut unexplained = Vec::new();
    for kind in Kind::all() {
        let transcript = scene(&kind).await;
        let Some(version) = kind.version() else {
            embedded = transcript;
            continue;
        };
        assert_eq!(embedded.len(), transcript.len());
        for ((asked, ours), (same, theirs)) in embedded.iter().zip(&transcript) {
            assert_eq!(asked, same);
            let explained = KNOWN.iter().any(|known| {
                (known.from..known.before).contains(&version)
                    && asked.contains(known.asked)
                    && theirs.starts_with(known.answered)
            });
            if ours != theirs && !explained {
                unexplained.push(format!(
                    "{asked}\n  embedded: {ours}\n  {version}: {theirs}"
                ));
            }
        }
    }
    assert!(
        unexplained.is_empty(),
        "{} differences:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    embedded
}

/// What was answered to a question.
#[track_caller]
pub(crate) fn answer<'a>(transcript: &'a Transcript, asked: &str) -> &'a str {
    let found = transcript.iter().find(|(question, _)| question == asked);
    found.map_or_else(|| panic!("nobody asked {asked}"), |(_, answer)| answer)
}

/// Puts one question into words for each of several.
pub(crate) fn asked_by(who: &str, answers: Vec<(&'static str, String)>) -> Transcript {
    let asked = answers.into_iter();
    asked
        .map(|(what, answer)| (format!("{who}: {what}"), answer))
        .collect()
}
