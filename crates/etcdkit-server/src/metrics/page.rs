//! The page: names, types and labels are etcd's, and the numbers are true. What a member without Raft, disks or
//! peers has no number for is left out.

use etcdkit_proto::etcdserverpb::RangeRequest;
use etcdkit_proto::v2::Action;

use super::process::Process;
use super::text::Text;
use crate::grpc::Status;
use crate::node::Node;
use crate::rpc::Rpc;

/// All metrics, in Prometheus' text format.
pub(crate) fn page(node: &Node) -> Result<String, Status> {
    let mut text = Text::default();
    member(node, &mut text);
    store(node, &mut text)?;
    watches(node, &mut text)?;
    leases(node, &mut text);
    keys(node, &mut text)?;
    calls(node, &mut text);
    process(&mut text);
    Ok(text.finish())
}

fn member(node: &Node, text: &mut Text) {
    let identity = &node.identity;
    text.info(
        "etcd_cluster_version",
        "The version that the cluster runs with, as a label.",
        "cluster_version",
        identity.version.of_cluster().major_and_minor(),
    );
    text.info(
        "etcd_server_version",
        "The version that the server says it is, as a label.",
        "server_version",
        identity.version,
    );
    text.info(
        "etcd_server_id",
        "The member's id in hexadecimal, as a label.",
        "server_id",
        format_args!("{:x}", identity.member_id),
    );
    let has_leader = !node.leadership.is_lost();
    text.gauge(
        "etcd_server_has_leader",
        "1 if the member knows a leader.",
        u8::from(has_leader),
    );
    text.gauge(
        "etcd_server_is_leader",
        "1 if the member leads.",
        u8::from(has_leader),
    );
    text.gauge("etcd_server_is_learner", "1 if the member learns.", 0);
    text.counter(
        "etcd_server_leader_changes_seen_total",
        "How often a leader was elected.",
        1 + node.leadership.elections(),
    );
    let applied = node.applier.applied_index();
    text.gauge(
        "etcd_server_proposals_committed_total",
        "The index of the last request that was agreed on.",
        applied,
    );
    text.gauge(
        "etcd_server_proposals_applied_total",
        "The index of the last request that was applied.",
        applied,
    );
    text.gauge(
        "etcd_server_proposals_pending",
        "Requests that wait for a leader or for the disk.",
        node.leadership.waiting() + node.applier.waiting(),
    );
    text.counter(
        "etcd_server_proposals_failed_total",
        "Requests that were given up for want of a leader.",
        node.leadership.given_up(),
    );
    text.counter(
        "etcd_server_health_success",
        "Health checks over HTTP that found the member healthy.",
        node.metrics.health_checks_passed.get(),
    );
    text.counter(
        "etcd_server_health_failures",
        "Health checks over HTTP that did not.",
        node.metrics.health_checks_failed.get(),
    );
    text.gauge(
        "etcd_server_quota_backend_bytes",
        "How large the database may become, in bytes.",
        node.limits.quota.bytes(),
    );
}

fn store(node: &Node, text: &mut Text) -> Result<(), Status> {
    let all_keys = RangeRequest {
        key: (&b"\0"[..]).into(),
        range_end: (&b"\0"[..]).into(),
        count_only: true,
        ..Default::default()
    };
    let (revision, compacted, in_use, keys) = node.applier.read(|store| {
        let keys = store.range(&all_keys)?.count;
        let revision = store.revision();
        Ok((revision, store.compact_revision(), store.size(), keys))
    })?;
    text.gauge(
        "etcd_debugging_mvcc_current_revision",
        "The newest revision.",
        revision,
    );
    text.gauge(
        "etcd_debugging_mvcc_compact_revision",
        "The last compacted revision.",
        compacted,
    );
    text.gauge(
        "etcd_debugging_mvcc_keys_total",
        "How many keys there are.",
        keys,
    );
    text.gauge(
        "etcd_mvcc_db_total_size_in_bytes",
        "The size of the database, in bytes.",
        node.applier.size(),
    );
    text.gauge(
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "The size of what the database holds, in bytes.",
        in_use,
    );
    let metrics = &node.metrics;
    text.counter(
        "etcd_mvcc_range_total",
        "Ranges read, those in transactions included.",
        metrics.ranges.get(),
    );
    text.counter(
        "etcd_mvcc_put_total",
        "Puts, those in transactions included.",
        metrics.puts.get(),
    );
    text.counter(
        "etcd_mvcc_delete_total",
        "Deletions of ranges, those in transactions included.",
        metrics.deletes.get(),
    );
    text.counter(
        "etcd_mvcc_txn_total",
        "Transactions of more than one operation.",
        metrics.txns.get(),
    );
    #[cfg(feature = "durable")]
    text.histogram(
        "etcd_disk_backend_commit_duration_seconds",
        "How long commits to the disk took, in seconds.",
        &metrics.commits,
    );
    Ok(())
}

fn watches(node: &Node, text: &mut Text) -> Result<(), Status> {
    let figures = node.applier.watching(|_, hub| hub.watchers.figures())?;
    text.gauge(
        "etcd_debugging_mvcc_watch_stream_total",
        "Streams with watches.",
        figures.streams,
    );
    text.gauge(
        "etcd_debugging_mvcc_watcher_total",
        "Watches.",
        figures.watchers,
    );
    text.gauge(
        "etcd_debugging_mvcc_slow_watcher_total",
        "Watches that are behind.",
        figures.behind,
    );
    text.counter(
        "etcd_debugging_mvcc_events_total",
        "Events sent to watches.",
        node.metrics.events.get(),
    );
    Ok(())
}

fn leases(node: &Node, text: &mut Text) {
    let metrics = &node.metrics;
    for (name, help, counter) in [
        (
            "etcd_debugging_lease_granted_total",
            "Leases granted.",
            &metrics.leases_granted,
        ),
        (
            "etcd_debugging_lease_renewed_total",
            "Renewals of leases.",
            &metrics.leases_renewed,
        ),
        (
            "etcd_debugging_lease_revoked_total",
            "Leases revoked, and those that expired.",
            &metrics.leases_revoked,
        ),
        (
            "etcd_debugging_server_lease_expired_total",
            "Leases that expired.",
            &metrics.leases_expired,
        ),
    ] {
        text.counter(name, help, counter.get());
    }
}

/// The keys of v2, if they are served.
fn keys(node: &Node, text: &mut Text) -> Result<(), Status> {
    if node.v2.is_none() {
        return Ok(());
    }
    let requests = &node.metrics.keys;
    let mut received = text.family(
        "etcd_http_received_total",
        "counter",
        "Requests for keys of v2 that were understood and allowed, without watches.",
    );
    for (method, count) in requests.received() {
        received.sample(&[("method", method)], count);
    }
    let mut failed = text.family(
        "etcd_http_failed_total",
        "counter",
        "Those that failed, by their status.",
    );
    for (method, status, count) in requests.failed() {
        let labels = [("code", &*status.to_string()), ("method", method)];
        failed.sample(&labels, count);
    }
    let (stats, watchers) = node
        .applier
        .watching(|store, hub| (store.v2().stats(), hub.v2.count()))?;
    let mut writes = text.family(
        "etcd_debugging_store_writes_total",
        "counter",
        "Changes of keys of v2, those that failed included.",
    );
    for (action, count) in [
        (
            Action::CompareAndDelete,
            stats.compare_and_delete_success + stats.compare_and_delete_fail,
        ),
        (
            Action::CompareAndSwap,
            stats.compare_and_swap_success + stats.compare_and_swap_fail,
        ),
        (Action::Create, stats.create_success + stats.create_fail),
        (Action::Delete, stats.delete_success + stats.delete_fail),
        (Action::Set, stats.sets_success + stats.sets_fail),
        (Action::Update, stats.update_success + stats.update_fail),
    ] {
        writes.sample(&[("action", action.as_str())], count);
    }
    text.counter(
        "etcd_debugging_store_expires_total",
        "Keys of v2 that expired.",
        stats.expire_count,
    );
    text.gauge(
        "etcd_debugging_store_watchers",
        "Watches of keys of v2.",
        watchers,
    );
    Ok(())
}

fn calls(node: &Node, text: &mut Text) {
    let calls = &node.metrics.calls;
    let labels = |rpc: Rpc| {
        [
            ("grpc_method", rpc.method()),
            ("grpc_service", rpc.service()),
            ("grpc_type", rpc.kind().label()),
        ]
    };
    let mut started = text.family(
        "grpc_server_started_total",
        "counter",
        "Calls that have begun.",
    );
    for rpc in Rpc::ALL {
        started.sample(&labels(*rpc), calls.started(*rpc));
    }
    let mut handled = text.family(
        "grpc_server_handled_total",
        "counter",
        "Calls that have ended, by their code.",
    );
    let mut sample = |rpc: Rpc, code, value| {
        let [method, service, kind] = labels(rpc);
        let labels = [("grpc_code", code), method, service, kind];
        handled.sample(&labels, value);
    };
    for rpc in Rpc::ALL {
        sample(*rpc, "OK", calls.succeeded(*rpc));
    }
    for ((rpc, code), count) in calls.failed() {
        sample(rpc, code, count);
    }
}

fn process(text: &mut Text) {
    let process = Process::now();
    if let Some(seconds) = process.cpu_seconds {
        text.counter(
            "process_cpu_seconds_total",
            "The processor time spent, in seconds.",
            seconds,
        );
    }
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "The memory in use, in bytes.",
            process.resident_bytes,
        ),
        (
            "process_virtual_memory_bytes",
            "The virtual memory, in bytes.",
            process.virtual_bytes,
        ),
        (
            "process_open_fds",
            "How many files are open.",
            process.open_fds,
        ),
        (
            "process_max_fds",
            "How many files may be open.",
            process.max_fds,
        ),
        ("os_fd_used", "How many files are open.", process.open_fds),
        (
            "os_fd_limit",
            "How many files may be open.",
            process.max_fds,
        ),
    ] {
        if let Some(value) = value {
            text.gauge(name, help, value);
        }
    }
    if let Some(seconds) = process.start_time_seconds {
        text.gauge(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970.",
            seconds,
        );
    }
}
