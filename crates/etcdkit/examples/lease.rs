//! Keys that live as long as this program does: leases.
//!
//! `cargo run -p etcdkit --example lease [ENDPOINT]`: without an endpoint, on an embedded server.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use etcdkit::{Client, LostReason, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(lease).await
}

async fn lease(client: Client) -> Result<()> {
    // Granted, and renewed in the background for as long as the handle is there.
    let lease = client.lease(Duration::from_secs(5)).await?;
    client.put("examples/here", "I am").lease(&lease).await?;
    println!("{lease:?}");
    println!("alive for at least another {:.1?}", lease.remaining());

    let state = client.leases().time_to_live(&lease).keys().await?;
    println!("the server counts {:?}, keys {:?}", state.ttl, state.keys);

    // Dropping the handle revokes the lease; this also tells how that went.
    lease.revoke().await?;
    println!("revoked: {:?}", client.get("examples/here").await?);

    // A lease can be lost, here because somebody else revokes it. Whoever works under it waits for that.
    let lease = client.lease(Duration::from_secs(6)).await?;
    client.leases().revoke(&lease).await?;
    let lost = lease.lost().await;
    println!("{lost}");
    assert_eq!(lost.reason(), LostReason::NotFound);

    // Keys that shall come back by themselves are put by a hook, under each new lease.
    let keys = client.clone();
    let registered = client
        .lease(Duration::from_secs(6))
        .regrant(move |lease| {
            let keys = keys.clone();
            async move {
                keys.put("examples/here", "again").lease(&lease).await?;
                Ok(())
            }
        })
        .await?;
    client.leases().revoke(&registered.lease()).await?;
    if let Some(lease) = registered.regranted().await {
        println!("the key is back, under lease {}", lease.id());
    }
    registered.revoke().await?;

    // A lease that others keep alive, or that is to outlive this program.
    let granted = client.leases().grant(Duration::from_secs(60)).await?;
    let renewed = client.leases().keep_alive_once(granted.id).await?;
    println!("lease {} lives another {:?}", renewed.id, renewed.ttl);
    client.leases().revoke(granted.id).await?;
    Ok(())
}
