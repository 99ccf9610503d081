//! One of those who stand for the election.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use etcdkit::{
    Client, Error, ErrorKind, LeaseId, PutResponse, Result,
    sync::{Election, Leadership, Session},
};
use etcdkit_testkit::{
    election_checker::Proclamation,
    lock_checker::{Claim, Stamp},
    patience::PATIENCE,
    program::Program,
    watch_checker::Outcome,
};
use tokio::time::{sleep, timeout};

use crate::race::{Shared, TTL};

/// One of so many leaderships ends in a crash.
const CRASHES: u8 = 8;

/// One of so many leads for long.
const LONG: u8 = 6;

pub(crate) struct Candidate {
    pub(crate) number: usize,
    pub(crate) random: fastrand::Rng,
    /// The proxies that it reaches the members by.
    pub(crate) ways: Vec<String>,
    /// The election's name.
    pub(crate) election: String,
    /// What the keys begin with that only leaders write.
    pub(crate) data: String,
    pub(crate) shared: Arc<Shared>,
}

impl Candidate {
    pub(crate) fn run(mut self) {
        match self.number % 2 {
            0 => self.with_a_lease_for_each(),
            _ => self.with_a_session(),
        }
    }

    fn with_a_lease_for_each(&mut self) {
        let mut program = Program::start(&self.ways);
        while !self.is_done() {
            let election = program.client().election(&self.election).ttl(TTL);
            let leadership = program.run(self.campaign(&election));
            let Some(leadership) = leadership else {
                continue;
            };
            program.run(self.lead(&leadership));
            if self.random.u8(0..CRASHES) == 0 {
                self.shared.records().report.crashed += 1;
                // Not dropped: that would resign.
                std::mem::forget(leadership);
                program.crash();
                program = Program::start(&self.ways);
            } else {
                program.run(self.end(leadership));
            }
        }
    }

    /// One session as long as it lives, also over restarts of the program.
    fn with_a_session(&mut self) {
        let mut program = Program::start(&self.ways);
        let mut kept = None;
        while !self.is_done() {
            let Some(session) = program.run(self.open(program.client(), kept)) else {
                kept = None;
                continue;
            };
            let lease = session.id();
            match program.run(self.with(session)) {
                None => kept = None,
                Some(leadership) => {
                    self.shared.records().report.crashed += 1;
                    std::mem::forget(leadership);
                    program.crash();
                    program = Program::start(&self.ways);
                    // What a program would keep on disk.
                    kept = Some(lease);
                }
            }
        }
        if let Some(lease) = kept {
            // Otherwise it runs out.
            let _ = program.run(async {
                let revoke = program.client().leases().revoke(lease);
                revoke.await
            });
        }
    }

    async fn open(&self, client: &Client, kept: Option<LeaseId>) -> Option<Session> {
        let opened = match kept {
            Some(lease) => client.session().resume(lease).await,
            None => client.session().ttl(TTL).await,
        };
        match opened {
            Ok(session) => Some(session),
            Err(error) => {
                self.failed(&error).await;
                None
            }
        }
    }

    /// Leads until the session is lost or the program ends; answers what it held when it ended without
    /// a word.
    async fn with(&mut self, session: Session) -> Option<(Session, Leadership)> {
        let election = session.election(&self.election);
        let mut resumed = match election.resume().await {
            Ok(resumed) => resumed,
            Err(error) => {
                self.failed(&error).await;
                None
            }
        };
        if resumed.is_some() {
            self.shared.records().report.resumed += 1;
        }
        while !self.is_done() && !session.is_lost() {
            let leadership = match resumed.take() {
                Some(leadership) => leadership,
                None => match self.campaign(&election).await {
                    Some(leadership) => leadership,
                    None => continue,
                },
            };
            self.lead(&leadership).await;
            if self.random.u8(0..CRASHES) < 2 {
                return Some((session, leadership));
            }
            self.end(leadership).await;
        }
        // Should it fail, the lease runs out.
        let _ = session.close().await;
        None
    }

    async fn campaign(&mut self, election: &Election) -> Option<Leadership> {
        let campaign = election.campaign(self.value()).wait_at_most(PATIENCE);
        let short = Duration::from_millis(self.random.u64(1..300));
        let won = match self.random.u8(0..6) {
            0 => timeout(short, campaign).await.ok()?,
            _ => campaign.await,
        };
        match won {
            Ok(leadership) => Some(leadership),
            Err(error) => {
                self.failed(&error).await;
                None
            }
        }
    }

    async fn lead(&mut self, leadership: &Leadership) {
        let now = Instant::now();
        let mut claim = Claim {
            token: leadership.fencing_token(),
            since: now,
            until: now,
        };
        {
            let records = &mut self.shared.records();
            records.leading = Some(self.number);
            records.report.led += 1;
        }
        let led = match self.random.u8(0..LONG) {
            0 => self.random.u64(200..1_500),
            _ => self.random.u64(1..40),
        };
        let end = Instant::now() + Duration::from_millis(led);
        loop {
            let before = Instant::now();
            if leadership.is_lost() || before > end {
                break;
            }
            claim.until = before;
            self.act(leadership).await;
            sleep(Duration::from_millis(self.random.u64(0..15))).await;
        }
        let is_lost = leadership.is_lost();
        // As a leader that has not looked, until it is told.
        while is_lost && !self.act(leadership).await && !self.is_done() {
            sleep(Duration::from_millis(20)).await;
        }
        let records = &mut self.shared.records();
        records.report.lost += usize::from(is_lost);
        records.claims.push(claim);
        if records.leading == Some(self.number) {
            records.leading = None;
        }
    }

    /// Does what only the leader does; answers whether it was told that it leads no more.
    async fn act(&mut self, leadership: &Leadership) -> bool {
        match self.random.u8(0..4) {
            0 => {
                let stamp = Stamp {
                    token: leadership.fencing_token(),
                    serial: self.serial(),
                };
                let key = format!("{}{}", self.data, self.random.u8(0..3));
                // The fence decides; the history shows what it let through.
                let put = leadership.put(key, stamp.to_string()).await;
                self.is_refused(&put)
            }
            _ => {
                let value = self.value();
                let proclaimed = leadership.proclaim(&value).await;
                let outcome = match &proclaimed {
                    Ok(put) => Outcome::Applied(put.header.revision),
                    Err(error) if error.outcome() == etcdkit::Outcome::Unknown => Outcome::Unknown,
                    Err(_) => Outcome::NotApplied,
                };
                let mut records = self.shared.records();
                records.report.proclaimed += usize::from(proclaimed.is_ok());
                records.proclamations.push(Proclamation {
                    key: leadership.key().clone(),
                    value,
                    outcome,
                });
                drop(records);
                self.is_refused(&proclaimed)
            }
        }
    }

    fn is_refused(&self, put: &Result<PutResponse>) -> bool {
        match put {
            Err(error) if error.kind() == ErrorKind::NotHeld => {
                assert_eq!(error.outcome(), etcdkit::Outcome::NotApplied, "{error}");
                self.shared.records().report.refused += 1;
                true
            }
            _ => false,
        }
    }

    async fn end(&mut self, leadership: Leadership) {
        match self.random.bool() {
            true => drop(leadership),
            // Should the answer fail to come, it goes on in the background.
            false => drop(leadership.resign().await),
        }
    }

    /// Notes a failure, and lets things settle.
    async fn failed(&self, error: &Error) {
        assert_ne!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        self.shared.records().report.failed += 1;
        sleep(Duration::from_millis(50)).await;
    }

    fn serial(&self) -> u64 {
        let records = &mut self.shared.records();
        records.serial += 1;
        records.serial
    }

    fn value(&self) -> String {
        format!("candidate {} says {}", self.number, self.serial())
    }

    fn is_done(&self) -> bool {
        self.shared.records().is_done
    }
}
