//! The two clients under the same load, each as its documentation shows it, on one thread.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use futures01::{
    Future as _,
    future::{Loop, join_all, loop_fn},
};

use crate::{
    Failure,
    load::{Operation, key, value},
};

/// How long each request took.
pub(crate) type Times = Vec<Duration>;

pub(crate) fn etcdkit(
    endpoint: &str,
    operation: Operation,
    callers: usize,
    length: Duration,
) -> Result<Times, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let client = etcdkit::v2::Client::connect(endpoint).await?;
        let end = Instant::now() + length;
        let calls = (0..callers).map(|caller| {
            let client = client.clone();
            tokio::task::spawn_local(async move {
                let mut times = Times::new();
                for turn in 0.. {
                    let start = Instant::now();
                    if start >= end {
                        break;
                    }
                    match operation {
                        Operation::Put => {
                            client.set(key(caller, turn), value()).await?;
                        }
                        Operation::Get => {
                            client.get(key(caller, turn)).await?;
                        }
                    }
                    times.push(start.elapsed());
                }
                Ok::<_, Failure>(times)
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut all = Times::new();
        for call in calls {
            all.extend(call.await??);
        }
        Ok(all)
    })
}

pub(crate) fn etcd(
    endpoint: &str,
    operation: Operation,
    callers: usize,
    length: Duration,
) -> Result<Times, Failure> {
    let mut runtime = tokio01::runtime::current_thread::Runtime::new()?;
    let client = etcd::Client::new(&[endpoint], None)
        .map_err(|error| format!("the etcd crate does not take {endpoint}: {error}"))?;
    let end = Instant::now() + length;
    let all = Rc::new(RefCell::new(Times::new()));
    let calls = (0..callers).map(|caller| {
        let (client, all) = (client.clone(), Rc::clone(&all));
        loop_fn(0, move |turn| {
            let all = Rc::clone(&all);
            let start = Instant::now();
            let key = format!("/{}", key(caller, turn));
            type Asked = Box<dyn futures01::Future<Item = (), Error = Vec<etcd::Error>>>;
            let asked: Asked = match operation {
                Operation::Put => Box::new(etcd::kv::set(&client, &key, &value(), None).map(drop)),
                Operation::Get => {
                    let options = etcd::kv::GetOptions::default();
                    Box::new(etcd::kv::get(&client, &key, options).map(drop))
                }
            };
            asked.map(move |()| {
                all.borrow_mut().push(start.elapsed());
                match Instant::now() < end {
                    true => Loop::Continue(turn + 1),
                    false => Loop::Break(()),
                }
            })
        })
    });
    let calls: Vec<_> = calls.collect();
    runtime
        .block_on(join_all(calls))
        .map_err(|errors| format!("the etcd crate fails: {errors:?}"))?;
    Ok(all.take())
}
