//! Transactions: several operations as one, under conditions.
//!
//! `cargo run -p etcdkit --example transaction [ENDPOINT]`: without an endpoint, on an embedded
//! server.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, Compare, KeyRange, Op, OpResponse, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(transaction).await
}

async fn transaction(client: Client) -> Result<()> {
    client.put("examples/accounts/ann", "30").await?;
    client.put("examples/accounts/bob", "5").await?;

    transfer(&client, "ann", "bob", 20).await?;
    transfer(&client, "ann", "bob", 20).await?;

    // Create a key only if it does not exist; otherwise see who was first.
    for name in ["me", "you"] {
        let done = client
            .txn()
            .when([Compare::missing("examples/leader")])
            .then([Op::put("examples/leader", name)])
            .or_else([Op::get("examples/leader")])
            .await?;
        match done.responses.first() {
            Some(OpResponse::Range(found)) => {
                println!(
                    "{name}: {:?} was first",
                    found.kvs.first().map(|kv| &kv.value)
                );
            }
            _ => println!("{name}: first"),
        }
    }

    // A transaction may hold others, and conditions may be about whole ranges.
    let untouched = Compare::mod_revision(KeyRange::prefix("examples/")).lt(1);
    let done = client
        .txn()
        .then([Op::txn(
            [untouched],
            [],
            [Op::delete(KeyRange::prefix("examples/"))],
        )])
        .await?;
    println!("cleaned up: {:?}", done.responses);
    Ok(())
}

/// Moves an amount from one account to another, unless it is not there.
async fn transfer(client: &Client, from: &str, to: &str, amount: i64) -> Result<()> {
    let (from, to) = (account(from), account(to));
    loop {
        let (Some(source), Some(target)) = (client.get(&from).await?, client.get(&to).await?)
        else {
            println!("no such account");
            return Ok(());
        };
        let (Some(has), Some(gets)) = (number(&source.value), number(&target.value)) else {
            println!("not an amount");
            return Ok(());
        };
        if has < amount {
            println!("{has} is not enough for {amount}");
            return Ok(());
        }
        // If either account has changed since it was read, nothing happens, and we look again.
        let done = client
            .txn()
            .when([
                Compare::mod_revision(&from).eq(source.mod_revision),
                Compare::mod_revision(&to).eq(target.mod_revision),
            ])
            .then([
                Op::put(&from, (has - amount).to_string()),
                Op::put(&to, (gets + amount).to_string()),
            ])
            .await?;
        if done.succeeded {
            println!("moved {amount} at revision {}", done.header.revision);
            return Ok(());
        }
    }
}

fn account(name: &str) -> String {
    format!("examples/accounts/{name}")
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
