//! `stats`: what a member counts.

use std::io::{self, Write};

use etcdkit::v2::{FollowerStats, LeaderStats, SelfStats, StoreStats};
use serde::{Serialize, Serializer, ser::SerializeMap};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{connect::Session, failure::of_cluster};
use crate::{
    args::v2::{Format, GlobalArgs, Stats, StatsArgs},
    error::Result,
    golang::{format_duration, to_json},
};

pub(super) async fn run(global: &GlobalArgs, args: &StatsArgs) -> Result {
    let format = global.format()?;
    let session = Session::open(global).await?;
    let stats = session.client.stats();
    let group = match args.which {
        Stats::Store => stats.store().await.map(|stats| store(&stats)),
        Stats::Own => stats.self_().await.map(|stats| own(&stats)),
        Stats::Leader => stats.leader().await.map(|stats| leader(&stats)),
    };
    session.close().await;
    let group = group.map_err(of_cluster)?;
    let mut out = io::stdout().lock();
    match format {
        Format::Json => to_json(&mut out, &group)?,
        Format::Simple | Format::Extended => group.write(&mut out, "")?,
    }
    Ok(out.flush()?)
}

/// Values with the names that the server has for them, in its order.
#[derive(Debug, Default)]
struct Group(Vec<(String, Value)>);

#[derive(Debug)]
enum Value {
    Text(String),
    Count(u64),
    Rate(f64),
    Group(Group),
}

impl Group {
    fn with(mut self, name: &str, value: Value) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.with(name, Value::Text(text.into()))
    }

    fn count(self, name: &str, count: u64) -> Self {
        self.with(name, Value::Count(count))
    }

    fn rate(self, name: &str, rate: f64) -> Self {
        self.with(name, Value::Rate(rate))
    }

    fn group(self, name: &str, group: Self) -> Self {
        self.with(name, Value::Group(group))
    }

    /// Writes a line for each value, with the names of the groups it is in.
    fn write(&self, out: &mut dyn Write, within: &str) -> io::Result<()> {
        for (name, value) in &self.0 {
            match value {
                Value::Text(text) => writeln!(out, "{within}{name}: {text}")?,
                Value::Count(count) => writeln!(out, "{within}{name}: {count}")?,
                Value::Rate(rate) => writeln!(out, "{within}{name}: {rate}")?,
                Value::Group(group) => group.write(out, &format!("{within}{name}."))?,
            }
        }
        Ok(())
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Count(count) => count.serialize(serializer),
            Self::Rate(rate) => rate.serialize(serializer),
            Self::Group(group) => group.serialize(serializer),
        }
    }
}

fn store(stats: &StoreStats) -> Group {
    Group::default()
        .count("getsSuccess", stats.gets_success)
        .count("getsFail", stats.gets_fail)
        .count("setsSuccess", stats.sets_success)
        .count("setsFail", stats.sets_fail)
        .count("deleteSuccess", stats.delete_success)
        .count("deleteFail", stats.delete_fail)
        .count("updateSuccess", stats.update_success)
        .count("updateFail", stats.update_fail)
        .count("createSuccess", stats.create_success)
        .count("createFail", stats.create_fail)
        .count("compareAndSwapSuccess", stats.compare_and_swap_success)
        .count("compareAndSwapFail", stats.compare_and_swap_fail)
        .count("compareAndDeleteSuccess", stats.compare_and_delete_success)
        .count("compareAndDeleteFail", stats.compare_and_delete_fail)
        .count("expireCount", stats.expire_count)
        .count("watchers", stats.watchers)
}

fn own(stats: &SelfStats) -> Group {
    let time = |time: Option<_>| {
        let text = time.map(|time| OffsetDateTime::from(time).format(&Rfc3339));
        text.and_then(std::result::Result::ok).unwrap_or_default()
    };
    let leader = Group::default()
        .text("leader", &stats.leader.id)
        .text(
            "uptime",
            stats.leader.uptime.map(format_duration).unwrap_or_default(),
        )
        .text("startTime", time(stats.leader.since));
    Group::default()
        .text("name", &stats.name)
        .text("id", &stats.id)
        .text("state", &stats.state)
        .text("startTime", time(stats.started))
        .group("leaderInfo", leader)
        .count("recvAppendRequestCnt", stats.received)
        .rate("recvPkgRate", stats.received_per_second)
        .rate("recvBandwidthRate", stats.received_bytes_per_second)
        .count("sendAppendRequestCnt", stats.sent)
        .rate("sendPkgRate", stats.sent_per_second)
        .rate("sendBandwidthRate", stats.sent_bytes_per_second)
}

fn leader(stats: &LeaderStats) -> Group {
    let followers = stats.followers.iter();
    let followers = followers.map(|(id, stats)| (id.clone(), Value::Group(follower(stats))));
    Group::default()
        .text("leader", &stats.leader)
        .group("followers", Group(followers.collect()))
}

fn follower(stats: &FollowerStats) -> Group {
    let latency = Group::default()
        .rate("current", stats.latency)
        .rate("average", stats.average)
        .rate("standardDeviation", stats.standard_deviation)
        .rate("minimum", stats.minimum)
        .rate("maximum", stats.maximum);
    let counts = Group::default()
        .count("fail", stats.fail)
        .count("success", stats.success);
    Group::default()
        .group("latency", latency)
        .group("counts", counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_written_in_lines_and_as_json() {
        let group = Group::default().text("leader", "a").group(
            "counts",
            Group::default().count("fail", 1).rate("rate", 0.5),
        );
        let mut lines = Vec::new();
        group.write(&mut lines, "").unwrap();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "leader: a\ncounts.fail: 1\ncounts.rate: 0.5\n"
        );
        assert_eq!(
            serde_json::to_string(&group).unwrap(),
            r#"{"leader":"a","counts":{"fail":1,"rate":0.5}}"#
        );
    }
}
