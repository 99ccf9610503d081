//! Locks, halves of locks and permits, as one.

use std::{ops::Deref, time::Duration};

use etcdkit::{
    Client, Result,
    sync::{Held, Lock, LockGuard, Permit, ReadGuard, RwLock, Semaphore, Session, WriteGuard},
};

use crate::lock_checker::Kind;

/// What a contender wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Lock,
    Read,
    Write,
    Permit(u32),
}

impl Wanted {
    pub(super) fn draw(of: Kind, random: &mut fastrand::Rng) -> Self {
        match of {
            Kind::Lock => Self::Lock,
            Kind::RwLock => match random.u8(0..3) {
                0 => Self::Write,
                _ => Self::Read,
            },
            Kind::Semaphore(limit) => Self::Permit(limit),
        }
    }
}

/// What a guard is to be of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    /// A session of its own, with this time to live.
    Client(&'a Client, Duration),
    Session(&'a Session),
}

impl Owner<'_> {
    fn lock(self, name: &str) -> Lock {
        match self {
            Self::Client(client, ttl) => client.lock(name).ttl(ttl),
            Self::Session(session) => session.lock(name),
        }
    }

    fn rwlock(self, name: &str) -> RwLock {
        match self {
            Self::Client(client, ttl) => client.rwlock(name).ttl(ttl),
            Self::Session(session) => session.rwlock(name),
        }
    }

    fn semaphore(self, name: &str, limit: u32) -> Semaphore {
        match self {
            Self::Client(client, ttl) => client.semaphore(name, limit).ttl(ttl),
            Self::Session(session) => session.semaphore(name, limit),
        }
    }
}

/// What a contender gets.
#[derive(Debug)]
pub(super) enum Guard {
    Lock(LockGuard),
    Read(ReadGuard),
    Write(WriteGuard),
    Permit(Permit),
}

impl Deref for Guard {
    type Target = Held;

    fn deref(&self) -> &Held {
        match self {
            Self::Lock(guard) => guard,
            Self::Read(guard) => guard,
            Self::Write(guard) => guard,
            Self::Permit(permit) => permit,
        }
    }
}

impl Guard {
    /// Whether it was still held.
    pub(super) async fn release(self) -> Result<bool> {
        match self {
            Self::Lock(guard) => guard.unlock().await,
            Self::Read(guard) => guard.unlock().await,
            Self::Write(guard) => guard.unlock().await,
            Self::Permit(permit) => permit.release().await,
        }
    }
}

/// Waits for its turn, at most for so long.
pub(super) async fn acquire(
    owner: Owner<'_>,
    name: &str,
    wanted: Wanted,
    limit: Duration,
) -> Result<Guard> {
    match wanted {
        Wanted::Lock => owner.lock(name).wait_at_most(limit).await.map(Guard::Lock),
        Wanted::Read => {
            let lock = owner.rwlock(name).wait_at_most(limit);
            lock.read().await.map(Guard::Read)
        }
        Wanted::Write => {
            let lock = owner.rwlock(name).wait_at_most(limit);
            lock.write().await.map(Guard::Write)
        }
        Wanted::Permit(of) => {
            let semaphore = owner.semaphore(name, of).wait_at_most(limit);
            semaphore.acquire().await.map(Guard::Permit)
        }
    }
}

/// Takes it if that needs no waiting.
pub(super) async fn try_acquire(
    owner: Owner<'_>,
    name: &str,
    wanted: Wanted,
) -> Result<Option<Guard>> {
    Ok(match wanted {
        Wanted::Lock => owner.lock(name).try_lock().await?.map(Guard::Lock),
        Wanted::Read => owner.rwlock(name).try_read().await?.map(Guard::Read),
        Wanted::Write => owner.rwlock(name).try_write().await?.map(Guard::Write),
        Wanted::Permit(of) => {
            let semaphore = owner.semaphore(name, of);
            semaphore.try_acquire().await?.map(Guard::Permit)
        }
    })
}
