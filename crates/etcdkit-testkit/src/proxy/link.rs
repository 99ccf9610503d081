//! One connection through the proxy.

use std::io;

use tokio::{net::TcpStream, sync::watch};

use super::{
    Shared,
    conditions::{Direction, End, LinkState},
    pipe,
};

/// Joins a client with the server until either or the proxy ends it.
pub(super) async fn run(
    mut client: TcpStream,
    shared: &Shared,
    number: u64,
    mut state: watch::Receiver<LinkState>,
) -> io::Result<()> {
    let mut ends = state.clone();
    let dialled = tokio::select! {
        dialled = dial(shared, &mut state) => dialled,
        end = wait_for_end(&mut ends) => {
            if end == End::Reset {
                client.set_zero_linger()?;
            }
            return Ok(());
        }
    };
    let mut server = dialled?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;

    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let pipe = |direction| pipe::Pipe {
            shared,
            direction,
            state: state.clone(),
            // Each direction of each connection draws its own numbers, whatever the others do.
            random: fastrand::Rng::with_seed(
                shared.seed ^ (number << 1 | u64::from(direction == Direction::ToClient)),
            ),
        };
        let forth = pipe(Direction::ToServer).run(from_client, to_server);
        let back = pipe(Direction::ToClient).run(from_server, to_client);
        tokio::select! {
            // Both directions have come to their end, or one of them broke.
            ended = async { tokio::try_join!(forth, back) } => match ended {
                Ok(_) => End::Close,
                Err(end) => end,
            },
            end = wait_for_end(&mut ends) => end,
        }
    };
    if end == End::Reset {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// Connects to the server, which takes a way there and a way back.
async fn dial(shared: &Shared, state: &mut watch::Receiver<LinkState>) -> io::Result<TcpStream> {
    let open = state.wait_for(|link| {
        link.paths[Direction::ToServer].is_open() && link.paths[Direction::ToClient].is_open()
    });
    open.await.map_err(io::Error::other)?;
    let target = shared.target().clone();
    TcpStream::connect(target).await
}

async fn wait_for_end(state: &mut watch::Receiver<LinkState>) -> End {
    match state.wait_for(|link| link.end.is_some()).await {
        Ok(link) => link.end.unwrap_or(End::Close),
        Err(_) => End::Close,
    }
}
