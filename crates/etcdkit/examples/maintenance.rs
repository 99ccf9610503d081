//! Looking after a cluster: members, their state, hashes, alarms and a backup.
//!
//! `cargo run -p etcdkit --example maintenance [ENDPOINT...]`: without an endpoint, on an embedded
//! server.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, ErrorKind, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(maintenance).await
}

async fn maintenance(client: Client) -> Result<()> {
    let revision = client.put("examples/key", "v").await?.header.revision;
    for member in client.cluster().members().await?.members {
        println!("member {} {:?}", member.id, member.client_urls);
    }

    // Questions about one member go to the endpoint given and to no other.
    let maintenance = client.maintenance();
    for endpoint in client.endpoints() {
        let status = maintenance.status(&*endpoint).await?;
        let leads = status.leader == Some(status.header.member_id);
        println!("{endpoint}: etcd {}, leader: {leads}", status.version);
        let hash = maintenance.hash_kv(&*endpoint).revision(revision).await?;
        println!("{endpoint}: {:08x} at revision {revision}", hash.hash);
    }
    for alarm in maintenance.alarms().await?.alarms {
        println!("alarm {:?} of member {}", alarm.kind, alarm.member_id);
    }

    // The file appears under its name when it is whole, verified and on the disk.
    let path = std::env::temp_dir().join(format!("etcdkit-{}.db", std::process::id()));
    match maintenance.snapshot().save(&path).await {
        Ok(saved) => {
            println!("saved {} bytes from {}", saved.size, saved.endpoint);
            let _ = std::fs::remove_file(&path);
        }
        Err(error) if error.kind() == ErrorKind::Unimplemented => {
            println!("the embedded server has no snapshots: {error}");
        }
        Err(error) => return Err(error),
    }
    client.delete("examples/key").await?;
    Ok(())
}
