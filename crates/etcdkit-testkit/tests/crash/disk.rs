//! A disk in memory that fails when it is told to.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use etcdkit_server::Disk;

/// What a disk writes at once or not at all.
const SECTOR: usize = 512;

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The power goes: nothing works any more, and of what was not synced anything may be missing.
    PowerCut,
    /// One operation fails, and the ones after it do not.
    Error,
    /// There is no room for so many operations that write.
    Full(usize),
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(data);
            }
            Self::Resize(length) => image.resize(*length, 0),
        }
    }
}

#[derive(Default)]
struct State {
    /// As everybody sees it.
    image: Vec<u8>,
    /// As it was when it was synced last.
    synced: Vec<u8>,
    /// What was changed since then.
    unsynced: Vec<Change>,
    /// How many operations that write there were.
    operations: usize,
    /// At which of them what happens.
    plan: Option<(usize, Failure)>,
    has_failed: bool,
    is_dead: bool,
    /// Whether it says that it has synced and has not.
    lies: bool,
}

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct FaultDisk(Arc<Mutex<State>>);

impl fmt::Debug for FaultDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(f, "{} operations, plan {:?}", state.operations, state.plan)
    }
}

impl FaultDisk {
    /// A new disk with what another one holds.
    pub(crate) fn holding(image: Vec<u8>) -> Self {
        let state = State {
            synced: image.clone(),
            image,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Fails in so many operations from now.
    pub(crate) fn fail_in(&self, operations: usize, failure: Failure) {
        let mut state = self.lock();
        state.plan = Some((state.operations + operations, failure));
        state.has_failed = false;
    }

    /// Says from now on that it syncs, and does not.
    pub(crate) fn lie(&self) {
        self.lock().lies = true;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    /// Cuts the power now. Returns what is on the disk when it comes back: everything that was synced,
    /// and of what was not, any writes, each with any of its sectors.
    pub(crate) fn cut(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut state = self.lock();
        state.is_dead = true;
        let mut image = state.synced.clone();
        let losses = random.u8(..4);
        for change in &state.unsynced {
            let survives = match losses {
                0 => true,
                1 => false,
                _ => random.bool(),
            };
            match change {
                Change::Write(offset, data) if losses == 3 => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if random.bool() {
                            let offset = offset + number * SECTOR;
                            Change::Write(offset, sector.to_vec()).apply(&mut image);
                        }
                    }
                }
                // The length of a file is in its metadata, which the sync that follows writes first.
                _ if survives => change.apply(&mut image),
                _ => {}
            }
        }
        image
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        change.apply(&mut state.image);
        state.unsynced.push(change);
        Ok(())
    }
}

impl State {
    /// One operation more, if the plan lets it be.
    fn operate(&mut self) -> io::Result<()> {
        if self.is_dead {
            return Err(io::Error::other("there is no power"));
        }
        let number = self.operations;
        self.operations += 1;
        match self.plan {
            Some((at, Failure::PowerCut)) if number >= at => {
                (self.has_failed, self.is_dead) = (true, true);
                Err(io::Error::other("the power is cut"))
            }
            Some((at, Failure::Error)) if number == at => {
                self.has_failed = true;
                Err(io::Error::other("a bad sector"))
            }
            Some((at, Failure::Full(count))) if (at..at + count).contains(&number) => {
                self.has_failed = true;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

impl Disk for FaultDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if state.is_dead {
            return Err(io::Error::other("there is no power"));
        }
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = state.image.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.change(Change::Write(offset, data.to_vec()))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.change(Change::Resize(length))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        if state.lies {
            return Ok(());
        }
        let unsynced = std::mem::take(&mut state.unsynced);
        let State { synced, .. } = &mut *state;
        unsynced.iter().for_each(|change| change.apply(synced));
        Ok(())
    }
}

#[test]
fn what_is_synced_survives_and_the_rest_may_not() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let disk = FaultDisk::default();
        disk.set_len(2_048).expect("room");
        disk.write(0, &[1; 1_024]).expect("a write");
        disk.sync().expect("a sync");
        disk.write(0, &[2; 1_024]).expect("a write");
        disk.write(1_024, &[3; 512]).expect("a write");
        let image = disk.cut(&mut random);
        assert!(disk.write(0, &[4]).is_err());
        let sectors: Vec<u8> = image.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert!([1, 2].contains(&sectors[0]) && [0, 3].contains(&sectors[2]));
        seen.insert(sectors);
    }
    assert_eq!(seen.len(), 8, "all that can be: {seen:?}");
}

#[test]
fn it_fails_as_planned() {
    let disk = FaultDisk::default();
    disk.fail_in(1, Failure::Full(2));
    let results = (0..4).map(|_| disk.write(0, &[1]).is_ok());
    assert_eq!(results.collect::<Vec<_>>(), [true, false, false, true]);
    disk.fail_in(0, Failure::Error);
    assert!(disk.sync().is_err() && disk.sync().is_ok());
    disk.fail_in(0, Failure::PowerCut);
    assert!(disk.sync().is_err() && disk.read(0, &mut [0]).is_err());
}
