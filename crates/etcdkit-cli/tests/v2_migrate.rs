//! `etcdkit v2 migrate`: what it copies, what it prints, and how it ends.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ran, etcdkit, run};
use etcdkit_server::Server;
use tokio::runtime::Runtime;

/// A server with v2 and another one with v3.
struct Sides {
    old: Server,
    new: Server,
    runtime: Runtime,
}

impl Sides {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let old = runtime.block_on(Server::builder().enable_v2(true).start());
        let new = runtime.block_on(Server::builder().start());
        Self {
            old: old.unwrap(),
            new: new.unwrap(),
            runtime,
        }
    }

    fn v2(&self, args: &[&str]) -> Ran {
        let server = ["v2", "--endpoints", &self.old.endpoint()].map(str::to_owned);
        let args = args.iter().map(|word| (*word).to_owned());
        let args: Vec<_> = server.into_iter().chain(args).collect();
        run(etcdkit(), args, b"")
    }

    fn migrate(&self, args: &[&str]) -> Ran {
        let endpoint = self.new.endpoint();
        self.v2(&[&["migrate", "--to", &endpoint], args].concat())
    }

    #[track_caller]
    fn set(&self, key: &str, value: &str) {
        assert_eq!(self.v2(&["set", key, value]).code, Some(0));
    }

    fn v3(&self, key: &str) -> Option<String> {
        self.runtime.block_on(async {
            let client = etcdkit::Client::connect(self.new.endpoint()).await.unwrap();
            let kv = client.get(key).await.unwrap()?;
            Some(kv.value_str().unwrap().to_owned())
        })
    }
}

#[test]
fn keys_are_copied_under_the_names_that_flags_give_them() {
    let sides = Sides::start();
    sides.set("/app/web/port", "80");
    sides.set("/app/db/port", "5432");
    sides.set("/_secret/key", "s");

    let plan = sides.migrate(&["--dry-run"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert_eq!(
        plan.stdout(),
        "keys: 2\ndirectories: 3\nto be created: 2\nto be updated: 0\nto be removed: 0\nunchanged: 0\n\
         equal already: 0\nleases to be granted: 0\n"
    );
    assert_eq!(sides.v3("/app/web/port"), None);

    let flags = [
        "--from",
        "/app",
        "--prefix",
        "config",
        "--map",
        "/app/db=database",
    ];
    let flags = [
        &flags[..],
        &["--map=/_secret=secret", "--include", "/_secret"],
    ]
    .concat();
    let done = sides.migrate(&flags);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout().contains("\ncreated: 3\n"), "{done:?}");
    assert!(done.stdout().contains("\nverified at index "), "{done:?}");
    for (key, value) in [
        ("config/web/port", "80"),
        ("database/port", "5432"),
        ("secret/key", "s"),
    ] {
        assert_eq!(sides.v3(key).as_deref(), Some(value), "{key}");
    }

    sides.set("/app/web/port", "8080");
    let again = sides.migrate(&[&flags[..], &["-o", "json", "--forget"]].concat());
    let report: serde_json::Value = serde_json::from_str(&again.stdout()).unwrap();
    assert_eq!(
        (&report["updated"], &report["created"]),
        (&1.into(), &0.into())
    );
    assert_eq!(report["verified"], true);
    assert_eq!(sides.v3("config/web/port").as_deref(), Some("8080"));
    assert_eq!(sides.v3("_etcdkit/migration/of"), None, "notes are left");
}

#[test]
fn what_others_wrote_is_named_and_left_alone() {
    let sides = Sides::start();
    sides.set("/a", "v2");
    sides.set("/b", "v2");
    sides.runtime.block_on(async {
        let client = etcdkit::Client::connect(sides.new.endpoint())
            .await
            .unwrap();
        client.put("/a", "theirs").await.unwrap();
    });
    let ran = sides.migrate(&["--forget"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stdout()
            .contains("not copied: /a to /a: v3 has another value there\n"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("1 key was not copied"), "{ran:?}");
    assert_eq!(sides.v3("/a").as_deref(), Some("theirs"));
    assert_eq!(sides.v3("/b").as_deref(), Some("v2"));

    let other = sides.migrate(&["--from", "/a"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("another migration"), "{other:?}");
    let over = sides.migrate(&["--overwrite"]);
    assert_eq!(over.code, Some(0), "{over:?}");
    assert_eq!(sides.v3("/a").as_deref(), Some("v2"));
}

#[test]
fn a_durable_file_is_a_place_to_go_to() {
    let sides = Sides::start();
    sides.set("/a", "kept");
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("embedded:{}", folder.path().display());
    let ran = sides.v2(&["migrate", "--to", &endpoint]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = run(etcdkit(), ["--endpoints", &endpoint, "get", "/a"], b"");
    assert_eq!(found.stdout(), "/a\nkept\n");
}

#[test]
fn servers_that_cannot_be_used_are_told_apart_and_passwords_not_shown() {
    let sides = Sides::start();
    let ran = sides.v2(&["migrate", "--to", "etcd://root:pa55word@127.0.0.1:1"]);
    assert!(ran.code.is_some_and(|code| code != 0), "{ran:?}");
    assert!(ran.stderr.contains("copying into v3: "), "{ran:?}");
    assert!(ran.stderr.contains("127.0.0.1:1"), "{ran:?}");
    assert!(!ran.stderr.contains("pa55word"), "{ran:?}");
    let new = sides.new.endpoint();
    let args = [
        "v2",
        "--no-sync",
        "--endpoints",
        &new,
        "migrate",
        "--to",
        &new,
    ];
    let ran = run(etcdkit(), args, b"");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("does not serve the v2 API"), "{ran:?}");
}
