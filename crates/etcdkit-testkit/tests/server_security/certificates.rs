//! Users by their certificates.

use etcdkit_testkit::certificates::Authority;

use crate::{
    raw::{Raw, said},
    site::Settings,
    transcript::{Transcript, answer, asked_by, compare},
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A lease with keys that ann may write.
const LEASE: i64 = 77;

#[tokio::test]
async fn a_certificate_names_a_user_unless_a_token_does() {
    let folder = folder();
    let ours = Authority::new("ours");
    let settings = Settings::default().mutual_tls(&ours, &folder);
    let embedded = compare(async |kind| {
        let site = settings.start(kind).await;
        let endpoint = site.endpoint();
        let by = async |name: &str| Raw::showing(&endpoint, &ours, &ours.client(name)).await;
        let (root, ann) = (by("root").await, by("ann").await);
        let mut transcript = asked_by("off", by("eve").await.everything(0).await);
        root.set_up().await;
        root.grant(LEASE).await.expect("a lease");
        root.put("aa", LEASE).await.expect("a put");
        root.put("z", 0).await.expect("a put");
        // Users who can log in by certificate only are the usual ones.
        root.add_user_without_password("bob").await;

        let root_token = root.log_in("root").await.expect("a token");
        for (who, raw) in [
            ("root", root.clone()),
            ("ann", ann.clone()),
            ("bob", by("bob").await),
            ("unknown user", by("eve").await),
            ("no name", by("").await),
            ("ann with root's token", ann.token(&root_token)),
            ("root with ann's token", {
                let token = ann.log_in("ann").await.expect("a token");
                root.token(&token)
            }),
            ("root with a bad token", root.token("nonsense")),
            ("root with no token", root.token("")),
            ("root by gateway", root.with("grpcgateway-accept", "*/*")),
            ("root's token by gateway", {
                let gateway = ann.with("grpcgateway-accept", "*/*");
                gateway.with("authorization", &root_token)
            }),
        ] {
            transcript.extend(asked_by(who, raw.everything(LEASE).await));
        }
        transcript.push(("bob: log in".into(), said(&ann.log_in("bob").await)));
        transcript.push(("eve: log in".into(), said(&root.log_in("eve").await)));

        // A certificate is as new as the request, whatever has changed.
        root.add_role("another").await.expect("a change");
        transcript.extend(asked_by("later ann", ann.everything(LEASE).await));
        transcript
    })
    .await;
    for (asked, answered) in [
        ("ann: put", "ok"),
        (
            "ann: put of others",
            "PermissionDenied: etcdserver: permission denied",
        ),
        ("ann with root's token: put of others", "ok"),
        (
            "root with a bad token: put",
            "Unauthenticated: etcdserver: invalid auth token",
        ),
        (
            "root by gateway: put",
            "InvalidArgument: etcdserver: user name is empty",
        ),
    ] {
        assert_eq!(answer(&embedded, asked), answered, "{asked}");
    }
}

#[tokio::test]
async fn a_certificate_goes_with_signed_tokens_too() {
    let folder = folder();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret").expect("a file");
    let ours = Authority::new("ours");
    let settings = Settings::default()
        .mutual_tls(&ours, &folder)
        .jwt("HS256", Some(secret), None);
    compare(async |kind| {
        let site = settings.start(kind).await;
        let endpoint = site.endpoint();
        let root = Raw::showing(&endpoint, &ours, &ours.client("root")).await;
        root.set_up().await;
        let ann_token = root.log_in("ann").await.expect("a token");
        let mut transcript = Transcript::new();
        let with_token = root.token(&ann_token);
        transcript.extend(asked_by("ann", with_token.everything(0).await));
        root.add_role("another").await.expect("a change");
        // The token has become too old, and still goes before the certificate.
        transcript.extend(asked_by("old ann", with_token.everything(0).await));
        transcript.extend(asked_by("root", root.everything(0).await));
        transcript
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_only_demanded_names_nobody() {
    let folder = folder();
    let ours = Authority::new("ours");
    let settings = Settings::default().mutual_tls(&ours, &folder).nameless();
    compare(async |kind| {
        let site = settings.start(kind).await;
        let raw = Raw::showing(&site.endpoint(), &ours, &ours.client("root")).await;
        raw.set_up().await;
        asked_by("nobody", raw.everything(0).await)
    })
    .await;
}
