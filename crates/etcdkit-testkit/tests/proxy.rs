//! The fault proxy does to plain TCP connections what it says.

use std::{io, time::Duration};

use etcdkit_testkit::proxy::{Conditions, Direction, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, timeout},
};

use Direction::{ToClient, ToServer};

/// What certainly arrives does so within this.
const SOON: Duration = Duration::from_secs(60);

/// What must not arrive is waited for so long.
const A_WHILE: Duration = Duration::from_millis(150);

const MS: Duration = Duration::from_millis(1);

/// A proxy, and the server's ends of the connections made through it.
struct Bench {
    proxy: Proxy,
    accepted: mpsc::UnboundedReceiver<TcpStream>,
}

impl Bench {
    async fn new() -> Self {
        Self::with_seed(7).await
    }

    async fn with_seed(seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, accepted) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        let proxy = Proxy::with_seed(&format!("http://{address}"), seed).await;
        Self {
            proxy: proxy.expect("a proxy"),
            accepted,
        }
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let endpoint = self.proxy.endpoint();
        let stream = TcpStream::connect(endpoint.trim_start_matches("http://")).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Both ends of a connection.
    async fn connect(&mut self) -> (TcpStream, TcpStream) {
        let client = self.dial().await.expect("a connection");
        let server = soon(self.accepted.recv()).await.expect("a connection");
        server.set_nodelay(true).expect("a socket");
        (client, server)
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("it takes too long")
}

async fn send(to: &mut TcpStream, text: &str) {
    to.write_all(text.as_bytes()).await.expect("a write");
}

async fn arrives(at: &mut TcpStream, text: &str) {
    let mut read = vec![0; text.len()];
    soon(at.read_exact(&mut read)).await.expect("a read");
    assert_eq!(String::from_utf8_lossy(&read), text);
}

async fn nothing_arrives(at: &mut TcpStream) {
    let mut byte = [0];
    let read = timeout(A_WHILE, at.read(&mut byte)).await;
    assert!(read.is_err(), "{read:?}");
}

/// What is read up to the end, and how that comes.
async fn rest(at: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    let end = soon(at.read_to_end(&mut all)).await;
    (all, end.map(|_| ()))
}

async fn is_reset(at: &mut TcpStream) {
    let (_, end) = rest(at).await;
    let error = end.expect_err("no orderly end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_passes_everything_on_both_ways() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    send(&mut client, "ping").await;
    arrives(&mut server, "ping").await;
    send(&mut server, "pong!").await;
    arrives(&mut client, "pong!").await;
    assert_eq!(bench.proxy.passed(ToServer), 4);
    assert_eq!(bench.proxy.passed(ToClient), 5);

    let much: Vec<u8> = (0..3_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    let writing = tokio::spawn({
        let much = much.clone();
        async move {
            client.write_all(&much).await.expect("a write");
            client.shutdown().await.expect("a shutdown");
            client
        }
    });
    let (read, end) = rest(&mut server).await;
    assert!(end.is_ok() && read == much, "{} bytes, {end:?}", read.len());
    // The other direction outlives the end of this one.
    let mut client = writing.await.expect("a task");
    send(&mut server, "still here").await;
    arrives(&mut client, "still here").await;
    drop(server);
    assert_eq!(rest(&mut client).await.0, b"");
    soon(async {
        while bench.proxy.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(bench.proxy.connections(), 1);
}

#[tokio::test]
async fn what_is_delayed_arrives_late_and_in_order() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    let delayed = Conditions::pass().delay(300 * MS, 100 * MS);
    bench.proxy.set(ToServer, delayed);
    let start = Instant::now();
    const MANY: u32 = 50;
    for number in 0..MANY {
        send(&mut client, &format!("{number:02}")).await;
        tokio::time::sleep(MS).await;
    }
    let all: String = (0..MANY).map(|number| format!("{number:02}")).collect();
    arrives(&mut server, &all).await;
    assert!(start.elapsed() >= 200 * MS, "{:?}", start.elapsed());
    // The others are not behind it one after the other.
    assert!(start.elapsed() < MANY * 200 * MS, "{:?}", start.elapsed());

    bench.proxy.set(ToServer, Conditions::pass());
    let delayed = Conditions::pass().delay(3_000 * MS, 100 * MS);
    bench.proxy.set(ToClient, delayed);
    // A new connection is under the same conditions, in that direction only.
    let (mut client, mut server) = bench.connect().await;
    let start = Instant::now();
    send(&mut client, "a").await;
    arrives(&mut server, "a").await;
    assert!(start.elapsed() < 2_900 * MS, "{:?}", start.elapsed());
    send(&mut server, "b").await;
    arrives(&mut client, "b").await;
    assert!(start.elapsed() >= 2_900 * MS, "{:?}", start.elapsed());
}

#[tokio::test]
async fn bandwidth_is_limited_for_each_connection() {
    const SIZE: usize = 40_000;
    let mut bench = Bench::new().await;
    let limit = Conditions::pass().bandwidth(200_000);
    bench.proxy.set(ToClient, limit);
    let (mut client, mut server) = bench.connect().await;
    let start = Instant::now();
    server.write_all(&[b'x'; SIZE]).await.expect("a write");
    let mut read = vec![0; SIZE];
    soon(client.read_exact(&mut read)).await.expect("a read");
    // The last step is not waited for by the reader.
    assert!(start.elapsed() >= 180 * MS, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_black_hole_holds_back_one_direction_until_it_ends() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    for (direction, works) in [(ToServer, ToClient), (ToClient, ToServer)] {
        bench.proxy.set(direction, Conditions::black_hole());
        let (from, to) = match direction {
            ToServer => (&mut client, &mut server),
            ToClient => (&mut server, &mut client),
        };
        send(from, "held back").await;
        nothing_arrives(to).await;
        send(to, "fine").await;
        arrives(from, "fine").await;
        assert!(bench.proxy.passed(works) > 0);
        bench.proxy.set(direction, Conditions::pass());
        arrives(to, "held back").await;
    }
}

#[tokio::test]
async fn nothing_is_connected_or_closed_through_a_black_hole() {
    let mut bench = Bench::new().await;
    let (client, mut server) = bench.connect().await;
    bench.proxy.set(ToServer, Conditions::black_hole());
    drop(client);
    nothing_arrives(&mut server).await;
    let mut late = bench.dial().await.expect("the kernel's answer");
    send(&mut late, "hello").await;
    let connected = timeout(A_WHILE, bench.accepted.recv()).await;
    assert!(connected.is_err(), "it reached the server");
    bench.proxy.set_both(Conditions::pass());
    assert_eq!(rest(&mut server).await.0, b"");
    let mut server = soon(bench.accepted.recv()).await.expect("a connection");
    arrives(&mut server, "hello").await;
}

#[tokio::test]
async fn a_cut_ends_what_exists_and_nothing_else() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    bench.proxy.cut();
    assert_eq!(rest(&mut client).await.0, b"");
    assert_eq!(rest(&mut server).await.0, b"");
    let (mut client, mut server) = bench.connect().await;
    send(&mut client, "again").await;
    arrives(&mut server, "again").await;
    assert_eq!(bench.proxy.connections(), 2);
}

#[tokio::test]
async fn a_reset_is_one_for_both_sides() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    bench.proxy.reset();
    is_reset(&mut client).await;
    is_reset(&mut server).await;
    // A broken side breaks the other one.
    let (client, mut server) = bench.connect().await;
    client.set_zero_linger().expect("a socket");
    drop(client);
    is_reset(&mut server).await;
}

#[tokio::test]
async fn one_direction_can_be_closed() {
    for direction in [ToServer, ToClient] {
        let mut bench = Bench::new().await;
        let (mut client, mut server) = bench.connect().await;
        bench.proxy.half_close(direction);
        let (from, to) = match direction {
            ToServer => (&mut client, &mut server),
            ToClient => (&mut server, &mut client),
        };
        let (read, end) = rest(to).await;
        assert!(read.is_empty() && end.is_ok(), "{end:?}");
        send(from, "for nobody").await;
        send(to, "the other way").await;
        arrives(from, "the other way").await;
        // Only what exists is concerned.
        let (mut client, mut server) = bench.connect().await;
        send(&mut client, "a").await;
        arrives(&mut server, "a").await;
        send(&mut server, "b").await;
        arrives(&mut client, "b").await;
    }
}

#[tokio::test]
async fn a_frozen_connection_stands_still_and_a_new_one_works() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    bench.proxy.freeze();
    // Other conditions do not thaw it.
    bench.proxy.set_both(Conditions::pass());
    send(&mut client, "a").await;
    nothing_arrives(&mut server).await;
    send(&mut server, "b").await;
    nothing_arrives(&mut client).await;
    let (mut new_client, mut new_server) = bench.connect().await;
    send(&mut new_client, "c").await;
    arrives(&mut new_server, "c").await;
    bench.proxy.cut();
    let (read, _) = rest(&mut client).await;
    assert!(read.is_empty());
}

#[tokio::test]
async fn a_cut_comes_after_exactly_so_many_bytes() {
    let mut bench = Bench::new().await;
    for bytes in [0, 1, 5, 10, 11, 40_000] {
        let (mut client, mut server) = bench.connect().await;
        send(&mut server, "before").await;
        arrives(&mut client, "before").await;
        bench.proxy.cut_after(ToClient, bytes);
        assert!(bench.proxy.is_cut_pending(ToClient));
        // Until so many have passed, nothing happens.
        let first = 10.min(bytes.saturating_sub(1)) as usize;
        server.write_all(&vec![b'x'; first]).await.expect("a write");
        let mut read = vec![0; first];
        soon(client.read_exact(&mut read)).await.expect("a read");
        assert!(bench.proxy.is_cut_pending(ToClient));
        let rest_of_it = bytes as usize - first + 100;
        server
            .write_all(&vec![b'x'; rest_of_it])
            .await
            .expect("a write");
        let (read, end) = rest(&mut client).await;
        assert_eq!((first + read.len()) as u64, bytes);
        assert!(end.is_ok(), "{end:?}");
        assert!(!bench.proxy.is_cut_pending(ToClient), "it is done once");
    }
    let (mut client, mut server) = bench.connect().await;
    send(&mut server, "fine again").await;
    arrives(&mut client, "fine again").await;
}

#[tokio::test]
async fn connections_are_refused_and_accepted_again() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    for _ in 0..3 {
        bench.proxy.refuse().await.expect("a refusal");
        for _ in 0..3 {
            let error = bench.dial().await.expect_err("nobody listens");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        send(&mut client, "alive").await;
        arrives(&mut server, "alive").await;
        bench.proxy.accept().await.expect("a listener");
        let (mut client, mut server) = bench.connect().await;
        send(&mut client, "new").await;
        arrives(&mut server, "new").await;
    }
}

#[tokio::test]
async fn a_dead_server_is_a_closed_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let proxy = Proxy::start(&format!("http://{address}"))
        .await
        .expect("a proxy");
    let endpoint = proxy.endpoint();
    let connected = TcpStream::connect(endpoint.trim_start_matches("http://")).await;
    assert_eq!(rest(&mut connected.expect("a connection")).await.0, b"");
}

#[tokio::test]
async fn dropping_it_ends_everything() {
    let mut bench = Bench::new().await;
    let (mut client, mut server) = bench.connect().await;
    let endpoint = bench.proxy.endpoint();
    drop(bench.proxy);
    assert_eq!(rest(&mut client).await.0, b"");
    assert_eq!(rest(&mut server).await.0, b"");
    soon(async {
        let address = endpoint.trim_start_matches("http://");
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
