//! Read, think, write, as if alone: transactions in memory.
//!
//! `cargo run -p etcdkit --example stm [ENDPOINT]`: without an endpoint, on an embedded server.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, KeyRange, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(stm).await
}

async fn stm(client: Client) -> Result<()> {
    for (name, amount) in [("ann", 50), ("bob", 50), ("cem", 50)] {
        client.put(account(name), amount.to_string()).await?;
    }

    // Whatever others do meanwhile: the closure sees one state of the store, and what it writes is
    // written only if what it read has not changed. Otherwise it runs again.
    let pairs = [("ann", "bob"), ("bob", "cem"), ("cem", "ann")];
    let transfers = pairs.map(|(from, to)| {
        let client = client.clone();
        tokio::spawn(async move {
            for amount in 1..=5 {
                transfer(&client, from, to, amount).await?;
            }
            Ok::<_, etcdkit::Error>(())
        })
    });
    for transfer in transfers {
        transfer.await.expect("a transfer does not panic")?;
    }

    // All accounts as they were at one moment.
    let total = client
        .stm(async |tx| {
            let mut total = 0;
            for name in ["ann", "bob", "cem"] {
                total += tx.get(account(name)).await?.unwrap_or(0);
            }
            Ok::<i64, _>(total)
        })
        .await?;
    println!("{total} in all");
    assert_eq!(total, 150);
    client.delete(KeyRange::prefix("examples/")).await?;
    Ok(())
}

/// Moves an amount from one account to another. Returns whether there was enough.
async fn transfer(client: &Client, from: &str, to: &str, amount: i64) -> Result<bool> {
    let (from, to) = (account(from), account(to));
    client
        .stm(async |tx| {
            let has: i64 = tx.get(&from).await?.unwrap_or(0);
            // An account that is not there is none; one with nothing in it is.
            let gets: Option<i64> = tx.get(&to).await?;
            let Some(gets) = gets.filter(|_| has >= amount) else {
                return Ok(false);
            };
            tx.put(&from, has - amount);
            tx.put(&to, gets + amount);
            Ok(true)
        })
        .await
}

fn account(name: &str) -> String {
    format!("examples/accounts/{name}")
}

#[cfg(test)]
#[tokio::test]
async fn the_example_runs() {
    support::embedded(stm).await.expect("no error");
}
