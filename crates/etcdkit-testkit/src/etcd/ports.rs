//! Free loopback ports.

use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// What this process has been given. A port is given once, or a test could get the one of another test's
/// member that is dead at the moment, or of an endpoint that is to refuse connections.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// `count` ports that nothing listens on at this moment.
///
/// They lie below the range from which the kernel takes the source ports of outgoing connections.
/// Otherwise, while a killed member's port is free, any connection on the machine could occupy it;
/// and a client that keeps dialling it could in the end connect to itself.
///
/// Another process may still take a port before etcd does; the caller then tries again.
pub(super) fn free(count: usize) -> Vec<u16> {
    let candidates = candidates();
    let mut held = Vec::new();
    while held.len() < count {
        let port = fastrand::u16(candidates.clone());
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port))
            && is_new(port)
        {
            held.push((port, listener));
        }
    }
    held.into_iter().map(|(port, _)| port).collect()
}

fn is_new(port: u16) -> bool {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    given.get_or_insert_default().insert(port)
}

fn candidates() -> Range<u16> {
    const LOWEST: u16 = 12_000;
    let first_ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .filter(|first| *first > LOWEST + 1_000)
        .unwrap_or(32_768);
    LOWEST..first_ephemeral
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_can_be_bound() {
        let mut ports = free(50);
        for port in &ports {
            assert!(candidates().contains(port));
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
