//! The client in a program without `async`.
//!
//! `cargo run -p etcdkit --features blocking --example blocking [ENDPOINT]`: without an endpoint, on an
//! embedded server.

use std::{error::Error, thread, time::Duration};

use etcdkit::{
    KeyRange, Result,
    blocking::{Client, Iterate, Wait},
};

fn main() -> Result<(), Box<dyn Error>> {
    let endpoints: Vec<String> = std::env::args().skip(1).collect();
    if endpoints.is_empty() {
        // The server is asynchronous, and gets a runtime of its own.
        let runtime = tokio::runtime::Runtime::new()?;
        let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
        println!("an embedded server listens on {}\n", server.endpoint());
        jobs(&Client::connect(server.endpoint())?)?;
        runtime.block_on(server.shutdown())?;
    } else {
        jobs(&Client::connect(endpoints)?)?;
    }
    Ok(())
}

fn jobs(client: &Client) -> Result<()> {
    let jobs = client.namespaced("examples/jobs/");

    // Watching on one thread, working on another.
    let mut watch = jobs.watch(..).wait()?;
    let worker = thread::spawn({
        let jobs = jobs.clone();
        move || {
            for name in ["sweep", "wash", "iron"] {
                jobs.put(name, "new").wait()?;
                jobs.put(name, "done").wait()?;
            }
            Ok::<_, etcdkit::Error>(())
        }
    });
    let mut done = 0;
    for update in watch.iter() {
        for event in update?.events() {
            println!("{:?} is {:?}", event.kv().key, event.kv().value);
            done += usize::from(event.kv().value == "done");
        }
        if done == 3 {
            break;
        }
    }
    worker.join().expect("the worker does not panic")?;

    // Nothing more happens: waiting can be given up.
    let more = watch.try_next().wait_for(Duration::from_millis(100));
    println!("anything else? {}", more.is_some());

    for job in jobs.scan(KeyRange::prefix("")).iter() {
        let job = job?;
        println!("{:?} is at version {}", job.key, job.version);
    }
    println!("{} deleted", jobs.delete(..).wait()?.deleted);
    Ok(())
}
