//! Users, roles and permissions, and clients that log in.
//!
//! `cargo run -p etcdkit --example auth [ENDPOINT]...`: without an endpoint, on an embedded server. It
//! adds users and roles, turns authentication on, and takes everything back at the end; it fails on a
//! cluster that has users already.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, ErrorKind, KeyRange, Permission, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(administer).await
}

async fn administer(client: Client) -> Result<()> {
    let endpoints: Vec<String> = client.endpoints().collect();
    // Where authentication is off, a client with a user is a client like any other. Once it is on,
    // the same client logs in by itself.
    let client = Client::builder()
        .endpoints(&endpoints)
        .user("root", "root's password")
        .connect()
        .await?;
    let auth = client.auth();

    auth.role("reader").add().await?;
    let keys = KeyRange::prefix("app/");
    auth.role("reader").grant(Permission::read(keys)).await?;
    auth.user("alice").add("alice's password").await?;
    auth.user("alice").grant_role("reader").await?;

    // Authentication needs a user named root that has the role root.
    auth.user("root").add("root's password").await?;
    auth.user("root").grant_role("root").await?;
    auth.enable().await?;

    client.put("app/color", "green").await?;
    let done = as_alice(&endpoints).await;

    // A user that is gone, or a new password, is noticed at the next call.
    auth.user("alice").change_password("another one").await?;
    auth.disable().await?;
    for user in ["alice", "root"] {
        auth.user(user).delete().await?;
    }
    auth.role("reader").delete().await?;
    client.delete(KeyRange::prefix("app/")).await?;
    done
}

async fn as_alice(endpoints: &[String]) -> Result<()> {
    let builder = || Client::builder().endpoints(endpoints);
    let wrong = builder().user("alice", "guessed").connect().await;
    match wrong {
        Err(error) if error.kind() == ErrorKind::AuthFailed => println!("{error}"),
        other => println!("a guess was enough: {other:?}"),
    }

    let alice = builder()
        .user("alice", "alice's password")
        .connect()
        .await?;
    let me = alice.auth().user("alice").get().await?;
    println!("alice has the roles {:?}", me.roles);
    for kv in alice.range(KeyRange::prefix("app/")).await?.kvs {
        println!("{:?} = {:?}", kv.key, kv.value);
    }
    match alice.put("app/color", "red").await {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => println!("{error}"),
        other => println!("a reader could write: {other:?}"),
    }
    Ok(())
}
