//! The names of all metrics, and the macros that record them.

macro_rules! define_metrics {
    ($($constant:ident $kind:ident $unit:ident $name:literal [$($label:ident)*] $text:literal;)*) => {
        $(pub(super) const $constant: &str = $name;)*

        /// Tells the recorder of the `metrics` crate the unit and meaning of each metric that this
        /// crate records, as exporters show them. Call it once, after the recorder is installed.
        ///
        /// # Examples
        ///
        /// ```
        /// // After `metrics::set_global_recorder(..)` or an exporter's own `install()`:
        /// etcdkit::describe_metrics();
        /// ```
        #[cfg(feature = "metrics")]
        pub fn describe_metrics() {
            use metrics::Unit;
            $(describe!($kind, $name, Unit::$unit, $text);)*
        }

        /// Each as the documentation has it.
        #[cfg(test)]
        fn documented() -> Vec<String> {
            vec![$({
                let labels: &[&str] = &[$(concat!("`", stringify!($label), "`")),*];
                let (kind, labels) = (stringify!($kind), labels.join(", "));
                format!("//! | `{}` | {kind} | {labels} | {} |", $name, $text)
            }),*]
        }
    };
}

#[cfg(feature = "metrics")]
macro_rules! describe {
    (counter, $($rest:tt)*) => { metrics::describe_counter!($($rest)*) };
    (gauge, $($rest:tt)*) => { metrics::describe_gauge!($($rest)*) };
    (histogram, $($rest:tt)*) => { metrics::describe_histogram!($($rest)*) };
}

define_metrics! {
    CALLS counter Count "etcdkit_calls_total" [operation outcome]
        "Calls that have ended.";
    CALL_SECONDS histogram Seconds "etcdkit_call_duration_seconds" [operation]
        "Time of a call with all its attempts.";
    CALLS_IN_FLIGHT gauge Count "etcdkit_calls_in_flight" [operation]
        "Calls under way.";
    ATTEMPTS counter Count "etcdkit_attempts_total" [operation endpoint]
        "Attempts of calls.";
    RETRIES counter Count "etcdkit_retries_total" [operation reason]
        "Failed attempts that were followed by another.";
    STREAMS gauge Count "etcdkit_streams" [operation]
        "Open streams.";
    STREAMS_BROKEN counter Count "etcdkit_streams_broken_total" [operation reason]
        "Streams that ended in an error.";
    CONNECTIONS gauge Count "etcdkit_connections" [endpoint]
        "Open connections.";
    CONNECT_FAILURES counter Count "etcdkit_connect_failures_total" [endpoint]
        "Failures to open a connection.";
    SUSPECT gauge Count "etcdkit_endpoint_suspect" [endpoint]
        "1 from a doubt in an endpoint until it proves well, else 0.";
    WATCHES gauge Count "etcdkit_watches" []
        "Watches that live.";
    WATCH_EVENTS counter Count "etcdkit_watch_events_total" []
        "Events received for watches.";
    WATCH_LAG histogram Count "etcdkit_watch_lag_revisions" []
        "How many revisions behind the newest one known a program is when it takes an update.";
    WATCH_RESUMED counter Count "etcdkit_watch_resumed_total" []
        "Watches created anew where a broken stream or a pause had left them.";
    WATCH_PAUSED counter Count "etcdkit_watch_paused_total" []
        "Watches stopped until slow programs have caught up.";
    LEASES gauge Count "etcdkit_leases" []
        "Leases that are kept alive.";
    LEASE_SLACK histogram Seconds "etcdkit_lease_slack_seconds" []
        "Time a lease still had when its renewal arrived.";
    LEASE_LOST counter Count "etcdkit_lease_lost_total" [reason]
        "Leases that ended without being revoked by this client.";
}

#[cfg(feature = "metrics")]
macro_rules! count {
    ($name:ident, $by:expr $(, $label:literal => $value:expr)*) => {
        metrics::counter!(names::$name $(, $label => $value)*).increment($by)
    };
}

#[cfg(feature = "metrics")]
macro_rules! gauge {
    ($name:ident, $change:ident($by:expr) $(, $label:literal => $value:expr)*) => {
        metrics::gauge!(names::$name $(, $label => $value)*).$change($by)
    };
}

/// Records a duration in seconds, or a number.
#[cfg(feature = "metrics")]
macro_rules! record {
    ($name:ident, $value:expr $(, $label:literal => $of:expr)*) => {
        metrics::histogram!(names::$name $(, $label => $of)*).record($value)
    };
}

// Without the feature nothing is evaluated, but it is still type-checked.

#[cfg(not(feature = "metrics"))]
macro_rules! count {
    ($name:ident, $by:expr $(, $label:literal => $value:expr)*) => {
        if false {
            let _: (&str, u64) = (names::$name, $by);
            $(let _ = ($label, $value);)*
        }
    };
}

#[cfg(not(feature = "metrics"))]
macro_rules! gauge {
    ($name:ident, $change:ident($by:expr) $(, $label:literal => $value:expr)*) => {
        if false {
            let _: (&str, f64) = (names::$name, $by);
            $(let _ = ($label, $value);)*
        }
    };
}

#[cfg(not(feature = "metrics"))]
macro_rules! record {
    ($name:ident, $value:expr $(, $label:literal => $of:expr)*) => {
        if false {
            let _ = (names::$name, $value);
            $(let _ = ($label, $of);)*
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documentation_lists_every_metric() {
        let documentation = include_str!("../lib.rs");
        let rows = documentation
            .lines()
            .filter(|line| line.starts_with("//! | `etcdkit_"));
        let rows: Vec<_> = rows.map(str::to_owned).collect();
        assert_eq!(rows, super::documented());
    }
}
