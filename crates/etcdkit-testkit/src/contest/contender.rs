//! One of those who contend.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use etcdkit::{
    Client, Error, ErrorKind, Op, Revision,
    sync::{Held, Session},
};
use tokio::time::{sleep, timeout};

use super::{
    Rules,
    guard::{Guard, Owner, Wanted, acquire, try_acquire},
    records::{Holding, Shared},
};
use crate::{patience::PATIENCE, program::Program, watch_checker::Change};

/// One of so many turns ends in a crash, if it can.
const CRASHES: u8 = 16;

/// One of so many holds the lock for long.
const LONG: u8 = 12;

/// How often a write is sent again by who has lost the lock.
const STUBBORN: usize = 5;

/// How many keys are written under the lock.
const KEYS: u8 = 3;

pub(super) struct Contender {
    pub(super) number: usize,
    pub(super) rules: Rules,
    pub(super) random: fastrand::Rng,
    /// The proxies that it reaches the members by.
    pub(super) ways: Vec<String>,
    /// The members themselves.
    pub(super) direct: Vec<String>,
    /// The lock's name.
    pub(super) lock: String,
    /// What the keys begin with that it protects.
    pub(super) data: String,
    pub(super) shared: Arc<Shared>,
}

/// How a turn has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Over,
    /// The program is to end just here.
    Crash,
}

impl Contender {
    pub(super) fn run(self) {
        // A test that waits for others must learn of it.
        let failure = FailOnPanic(Arc::clone(&self.shared));
        match self.number % 3 {
            0 => self.with_a_session_for_each(),
            1 => self.with_one_session(false),
            _ => self.with_one_session(true),
        }
        drop(failure);
    }

    /// Each guard has a session of its own.
    fn with_a_session_for_each(mut self) {
        let mut program = Program::start(&self.ways);
        while !self.shared.is_done() {
            let wanted = Wanted::draw(self.rules.kind, &mut self.random);
            let random = self.random.fork();
            let client = program.client().clone();
            let owner = Owner::Client(&client, self.rules.ttl);
            let turn = self.turn(owner, &client, wanted, random);
            if program.run(turn) == Turn::Crash {
                program.crash();
                program = Program::start(&self.ways);
            }
        }
    }

    /// All guards are of one session, as long as it lives; two at a time if it is shared.
    fn with_one_session(mut self, is_shared: bool) {
        let mut program = Program::start(&self.ways);
        while !self.shared.is_done() {
            let Some(session) = program.run(self.open(program.client())) else {
                continue;
            };
            let mut turn = Turn::Over;
            while !self.shared.is_done() && !session.is_lost() && turn == Turn::Over {
                let wanted = Wanted::draw(self.rules.kind, &mut self.random);
                let randoms = [self.random.fork(), self.random.fork()];
                let owner = Owner::Session(&session);
                let [first, second] =
                    randoms.map(|random| self.turn(owner, program.client(), wanted, random));
                turn = match is_shared {
                    false => program.run(first),
                    true => program.run(async { tokio::join!(first, second).0 }),
                };
            }
            if turn == Turn::Crash {
                std::mem::forget(session);
                program.crash();
                program = Program::start(&self.ways);
            } else {
                program.run(self.leave(session));
            }
        }
    }

    async fn open(&self, client: &Client) -> Option<Session> {
        match client.session().ttl(self.rules.ttl).await {
            Ok(session) => Some(session),
            Err(error) => {
                self.failed(&error).await;
                None
            }
        }
    }

    /// Ends with a session of which nothing may be left by then, although it lives.
    async fn leave(&self, session: Session) {
        let direct = Client::builder().endpoints(&self.direct);
        let direct = direct.connect_lazy().expect("a client");
        let start = Instant::now();
        while !session.is_lost() {
            let keys = direct.leases().time_to_live(session.id()).keys().await;
            if keys.is_ok_and(|found| found.keys.is_empty()) {
                break;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "seed {}: keys of a session that lives are left, though nobody wants them",
                self.rules.seed
            );
            sleep(Duration::from_millis(20)).await;
        }
        // Should it fail, the session is dropped, or it runs out.
        let _ = session.close().await;
    }

    async fn turn(
        &self,
        owner: Owner<'_>,
        client: &Client,
        wanted: Wanted,
        mut random: fastrand::Rng,
    ) -> Turn {
        let start = Instant::now();
        let guard = match self.acquire(owner, wanted, &mut random).await {
            Ok(Some(guard)) => guard,
            Ok(None) => {
                self.shared.records().report.given_up += 1;
                // Whoever only tries would try without a pause.
                sleep(Duration::from_millis(random.u64(1..20))).await;
                return Turn::Over;
            }
            Err(error) => {
                self.failed(&error).await;
                return Turn::Over;
            }
        };
        let token = guard.fencing_token();
        let mut holding = self.shared.hold(self.number, token, start.elapsed());
        self.work(client, &guard, &mut holding, &mut random).await;
        let lost = holding.is_lost(|| guard.is_lost());
        if lost {
            self.shared.records().report.lost += 1;
        }
        drop(holding);
        // Two of a program cannot crash alone.
        if !lost && self.number % 3 != 2 && random.u8(0..CRASHES) == 0 {
            self.shared.records().report.crashed += 1;
            // Not dropped: that would release it.
            std::mem::forget(guard);
            return Turn::Crash;
        }
        match random.bool() {
            true => drop(guard),
            // Should the answer fail to come, it goes in the background.
            false => drop(guard.release().await),
        }
        sleep(Duration::from_millis(random.u64(0..10))).await;
        Turn::Over
    }

    /// A guard; `None` if it was given up.
    async fn acquire(
        &self,
        owner: Owner<'_>,
        wanted: Wanted,
        random: &mut fastrand::Rng,
    ) -> Result<Option<Guard>, Error> {
        let short = Duration::from_millis(random.u64(1..400));
        match random.u8(0..8) {
            0 => try_acquire(owner, &self.lock, wanted).await,
            1 => match acquire(owner, &self.lock, wanted, short).await {
                Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
                other => other.map(Some),
            },
            2 => match timeout(short, acquire(owner, &self.lock, wanted, PATIENCE)).await {
                Ok(acquired) => acquired.map(Some),
                Err(_) => Ok(None),
            },
            _ => acquire(owner, &self.lock, wanted, PATIENCE).await.map(Some),
        }
    }

    /// Writes until its time is over or the guard is lost, and beyond that.
    async fn work(
        &self,
        client: &Client,
        guard: &Held,
        holding: &mut Holding<'_>,
        random: &mut fastrand::Rng,
    ) {
        let held = match random.u8(0..LONG) {
            0 => random.u64(100..800),
            _ => random.u64(1..40),
        };
        let until = Instant::now() + Duration::from_millis(held);
        while !holding.is_lost(|| guard.is_lost()) && Instant::now() < until {
            if random.u8(0..4) == 0 {
                self.write(client, guard, random).await;
            }
            sleep(Duration::from_millis(random.u64(1..8))).await;
        }
        if guard.is_lost() {
            // By the fence alone, as who has not asked the guard, until it is answered.
            for _ in 0..STUBBORN {
                if self.write_by_fence(client, guard, random).await {
                    break;
                }
            }
        }
    }

    async fn write(&self, client: &Client, guard: &Held, random: &mut fastrand::Rng) {
        let token = guard.fencing_token();
        match random.u8(0..3) {
            0 => {
                let (key, value) = (self.key(random), self.shared.stamp(token));
                let result = guard.put(&key, &value).await;
                let result = fenced(result.map(|put| put.header.revision));
                self.shared.wrote(vec![Change::put(key, value)], &result);
            }
            1 => {
                let pairs = [0, 1].map(|number| {
                    let key = format!("{}{number}", self.data);
                    (key, self.shared.stamp(token))
                });
                let puts = pairs.iter().map(|(key, value)| Op::put(key, value));
                let result = guard.txn().then(puts).await;
                let result = fenced(result.map(|done| done.header.revision));
                let changes = pairs.map(|(key, value)| Change::put(key, value));
                self.shared.wrote(changes.to_vec(), &result);
            }
            _ => {
                self.write_by_fence(client, guard, random).await;
            }
        }
    }

    /// A write by a transaction of its own, with the guard's condition; whether it was answered.
    async fn write_by_fence(
        &self,
        client: &Client,
        guard: &Held,
        random: &mut fastrand::Rng,
    ) -> bool {
        let (key, value) = (self.key(random), self.shared.stamp(guard.fencing_token()));
        let write = client
            .txn()
            .when([guard.fence()])
            .then([Op::put(&key, &value)]);
        let result = write.await;
        let result = result.map(|done| done.succeeded.then_some(done.header.revision));
        self.shared.wrote(vec![Change::put(key, value)], &result);
        result.is_ok()
    }

    fn key(&self, random: &mut fastrand::Rng) -> String {
        format!("{}{}", self.data, random.u8(0..KEYS))
    }

    /// Notes a failure, and lets things settle.
    async fn failed(&self, error: &Error) {
        assert_ne!(
            error.kind(),
            ErrorKind::InvalidRequest,
            "seed {}: {error}",
            self.rules.seed
        );
        self.shared.records().report.failed += 1;
        sleep(Duration::from_millis(50)).await;
    }
}

/// Tells what the fence kept off from other failures.
fn fenced(result: Result<Revision, Error>) -> Result<Option<Revision>, Error> {
    match result {
        Ok(revision) => Ok(Some(revision)),
        Err(error) if error.kind() == ErrorKind::NotHeld => {
            assert_eq!(error.outcome(), etcdkit::Outcome::NotApplied, "{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

struct FailOnPanic(Arc<Shared>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}
