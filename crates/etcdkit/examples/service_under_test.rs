//! A service, and how it is tested: each test has a server of its own, and breaks it.
//!
//! `cargo test -p etcdkit --example service_under_test` runs the tests;
//! `cargo run -p etcdkit --example service_under_test [ENDPOINT]` runs the service: without an endpoint, on
//! an embedded server.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use etcdkit::{Client, Compare, KeyRange, Op, Outcome, Result};

/// Books seats. A seat is held for a while, then paid for, or free again.
struct Seats {
    client: Client,
    hold: Duration,
}

impl Seats {
    /// Holds a seat for somebody. Returns whether it is theirs.
    async fn hold(&self, seat: &str, name: &str) -> Result<bool> {
        let lease = self.client.leases().grant(self.hold).await?;
        let held = self
            .client
            .txn()
            .when([Compare::missing(seat)])
            .then([Op::put(seat, name).lease(lease.id)])
            .await;
        match held {
            Ok(done) => Ok(done.succeeded),
            // The answer was lost, so the seat itself must tell.
            Err(error) if error.outcome() == Outcome::Unknown => {
                let owner = self.client.get(seat).await?;
                Ok(owner.is_some_and(|owner| owner.lease == Some(lease.id)))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a held seat for good. Returns whether it was still theirs.
    async fn pay(&self, seat: &str, name: &str) -> Result<bool> {
        let paid = self
            .client
            .txn()
            .when([Compare::value(seat).eq(name)])
            .then([Op::put(seat, name)])
            .await?;
        Ok(paid.succeeded)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(async |client| {
        let seats = Seats {
            client: client.clone(),
            hold: Duration::from_secs(60),
        };
        println!("Ada holds 12A: {}", seats.hold("seats/12A", "Ada").await?);
        println!("Bob holds 12A: {}", seats.hold("seats/12A", "Bob").await?);
        println!("Ada pays 12A: {}", seats.pay("seats/12A", "Ada").await?);
        client.delete(KeyRange::prefix("seats/")).await?;
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use etcdkit_server::Server;
    use etcdkit_server::faults::{EtcdError, Rpc};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    async fn start() -> (Server, Seats) {
        let server = Server::builder().without_listener().start().await.unwrap();
        let client = Client::builder().connector(server.connector());
        let client = client.connect().await.unwrap();
        let seats = Seats {
            client,
            hold: MINUTE,
        };
        (server, seats)
    }

    #[tokio::test]
    async fn a_seat_is_held_by_one() {
        let (_server, seats) = start().await;
        assert!(seats.hold("12A", "Ada").await.unwrap());
        assert!(!seats.hold("12A", "Bob").await.unwrap());
        assert!(seats.hold("12B", "Bob").await.unwrap());
    }

    #[tokio::test]
    async fn a_seat_that_is_not_paid_is_free_again() {
        let (server, seats) = start().await;
        assert!(seats.hold("12A", "Ada").await.unwrap());
        assert!(seats.hold("12B", "Ada").await.unwrap());
        assert!(seats.pay("12A", "Ada").await.unwrap());
        server.advance_time(2 * MINUTE);
        assert!(!seats.hold("12A", "Bob").await.unwrap());
        assert!(seats.hold("12B", "Bob").await.unwrap());
        assert!(!seats.pay("12B", "Ada").await.unwrap());
    }

    #[tokio::test]
    async fn who_does_not_hear_that_a_seat_is_theirs_still_has_it() {
        let (server, seats) = start().await;
        let faults = server.faults();
        let txn = || faults.on(Rpc::KvTxn).nth(1);
        txn().once_applied().fail(EtcdError::ServerTimeout);
        assert!(seats.hold("12A", "Ada").await.unwrap());
        txn().once_applied().disconnect();
        assert!(seats.hold("12B", "Ada").await.unwrap());
        // And who does not hear that it is taken does not have it.
        txn().once_applied().disconnect();
        assert!(!seats.hold("12A", "Bob").await.unwrap());
        assert_eq!(faults.calls(Rpc::KvTxn), 3, "nothing is written twice");
    }

    #[tokio::test]
    async fn a_lost_leader_is_waited_for() {
        let (server, seats) = start().await;
        let faults = server.faults();
        faults.lose_leader();
        let held = tokio::spawn(async move { seats.hold("12A", "Ada").await });
        while faults.calls(Rpc::LeaseGrant) == 0 {
            tokio::task::yield_now().await;
        }
        faults.regain_leader();
        assert!(held.await.unwrap().unwrap());
    }
}
