//! Prometheus' text format, 0.0.4.

use std::fmt::{Display, Write as _};

#[cfg(feature = "durable")]
use super::histogram::{BOUNDS, Histogram};

/// Metrics in text, one family after the other.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// A number that only rises.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help).sample(&[], value);
    }

    /// A number that rises and falls, or that etcd calls so.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help).sample(&[], value);
    }

    /// A gauge of 1, whose label says something.
    pub(super) fn info(&mut self, name: &str, help: &str, label: &str, value: impl Display) {
        let value = value.to_string();
        self.family(name, "gauge", help)
            .sample(&[(label, &value)], 1);
    }

    /// Durations, in seconds.
    #[cfg(feature = "durable")]
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let [bucket, sum, total] = ["bucket", "sum", "count"].map(|part| format!("{name}_{part}"));
        let mut family = self.family(name, "histogram", help);
        let (buckets, count) = histogram.cumulative();
        family.name = &bucket;
        for (bound, below) in BOUNDS.iter().zip(buckets) {
            family.sample(&[("le", &bound.to_string())], below);
        }
        family.sample(&[("le", "+Inf")], count);
        family.name = &sum;
        family.sample(&[], histogram.sum_seconds());
        family.name = &total;
        family.sample(&[], count);
    }

    /// A metric of which the samples follow.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: &str, help: &str) -> Family<'a> {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family {
            text: &mut self.0,
            name,
        }
    }
}

/// The samples of one metric.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let Self { text, name } = self;
        text.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(text, "{open}{label}=\"");
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    plain => text.push(plain),
                }
            }
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted() {
        let mut text = Text::default();
        text.family("a_total", "counter", "What a is.")
            .sample(&[("b", "1"), ("c", "\"\\\n")], 7);
        let expected = "# HELP a_total What a is.\n# TYPE a_total counter\na_total{b=\"1\",c=\"\\\"\\\\\\n\"} 7\n";
        assert_eq!(text.finish(), expected);
    }

    #[cfg(feature = "durable")]
    #[test]
    fn a_histogram_ends_with_everything() {
        let histogram = Histogram::default();
        histogram.observe(std::time::Duration::from_millis(3));
        let mut text = Text::default();
        text.histogram("d_seconds", "Durations.", &histogram);
        let text = text.finish();
        for line in [
            "d_seconds_bucket{le=\"0.002\"} 0",
            "d_seconds_bucket{le=\"0.004\"} 1",
            "d_seconds_bucket{le=\"8.192\"} 1",
            "d_seconds_bucket{le=\"+Inf\"} 1",
            "d_seconds_sum 0.003",
            "d_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
