//! Tables, and the rows that the simple format shares with them.

use std::io::{self, Write};

use super::Reply;
use crate::golang::format_size;

const MEMBERS: &[&str] = &[
    "ID",
    "STATUS",
    "NAME",
    "PEER ADDRS",
    "CLIENT ADDRS",
    "IS LEARNER",
];
const HEALTH: &[&str] = &["ENDPOINT", "HEALTH", "TOOK", "ERROR"];
const HASH_KV: &[&str] = &["ENDPOINT", "HASH", "HASH REVISION"];
const SNAPSHOT: &[&str] = &["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"];
const STATUS: &[&str] = &[
    "ENDPOINT",
    "ID",
    "VERSION",
    "STORAGE VERSION",
    "DB SIZE",
    "IN USE",
    "PERCENTAGE NOT IN USE",
    "QUOTA",
    "IS LEADER",
    "IS LEARNER",
    "RAFT TERM",
    "RAFT INDEX",
    "RAFT APPLIED INDEX",
    "ERRORS",
    "DOWNGRADE TARGET VERSION",
    "DOWNGRADE ENABLED",
];

/// Writes a reply of several columns; nothing for others, which are refused before.
pub(super) fn write(out: &mut dyn Write, reply: Reply<'_>) -> io::Result<()> {
    let header = match reply {
        Reply::Members(_) => MEMBERS,
        Reply::Health(_) => HEALTH,
        Reply::Status(_) => STATUS,
        Reply::HashKv(_) => HASH_KV,
        Reply::Snapshot(_) => SNAPSHOT,
        _ => return Ok(()),
    };
    draw(out, header, &rows(reply))
}

/// The cells of a reply.
pub(super) fn rows(reply: Reply<'_>) -> Vec<Vec<String>> {
    match reply {
        Reply::Members(list) => list
            .members
            .iter()
            .map(|member| {
                let status = if member.name.is_empty() {
                    "unstarted"
                } else {
                    "started"
                };
                vec![
                    member.id.to_string(),
                    status.to_owned(),
                    member.name.clone(),
                    member.peer_urls.join(","),
                    member.client_urls.join(","),
                    member.is_learner.to_string(),
                ]
            })
            .collect(),
        Reply::Health(endpoints) => endpoints
            .iter()
            .map(|health| {
                vec![
                    health.endpoint.clone(),
                    health.error.is_none().to_string(),
                    health.took.clone(),
                    health.error.clone().unwrap_or_default(),
                ]
            })
            .collect(),
        Reply::Status(endpoints) => endpoints
            .iter()
            .map(|at| {
                let status = &at.reply;
                let downgrade = status.downgrade.as_ref();
                vec![
                    at.endpoint.clone(),
                    status.header.member_id.to_string(),
                    status.version.clone(),
                    status.storage_version.clone(),
                    size(status.db_size),
                    size(status.db_size_in_use),
                    format!("{}%", percent_free(status.db_size, status.db_size_in_use)),
                    size(status.db_size_quota),
                    (status.leader == Some(status.header.member_id)).to_string(),
                    status.is_learner.to_string(),
                    status.raft_term.to_string(),
                    status.raft_index.to_string(),
                    status.raft_applied_index.to_string(),
                    status.errors.join(", "),
                    downgrade.map_or_else(String::new, |info| info.target_version.clone()),
                    downgrade.is_some_and(|info| info.enabled).to_string(),
                ]
            })
            .collect(),
        Reply::HashKv(endpoints) => endpoints
            .iter()
            .map(|at| {
                vec![
                    at.endpoint.clone(),
                    at.reply.hash.to_string(),
                    at.reply.hash_revision.to_string(),
                ]
            })
            .collect(),
        Reply::Snapshot(status) => vec![vec![
            format!("{:x}", status.hash),
            status.revision.to_string(),
            status.live_keys.to_string(),
            format_size(status.total_size),
            status.version.clone().unwrap_or_default(),
        ]],
        _ => Vec::new(),
    }
}

fn size(bytes: i64) -> String {
    format_size(u64::try_from(bytes).unwrap_or_default())
}

/// The share of the database that holds nothing, rounded as etcdctl rounds it.
fn percent_free(size: i64, in_use: i64) -> i64 {
    let used = in_use.saturating_mul(100).checked_div(size);
    used.map_or(0, |used| 100_i64.saturating_sub(used))
}

/// Draws a table: centred headings, cells to the right.
fn draw(out: &mut dyn Write, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| width(cell)).fold(width(title), usize::max)
        })
        .collect();
    let rule = |left: &str, middle: &str, right: &str| {
        let lines: Vec<_> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}", lines.join(middle))
    };
    let line = |cells: Vec<String>| format!("│ {} │", cells.join(" │ "));

    writeln!(out, "{}", rule("┌", "┬", "┐"))?;
    let titles = header.iter().zip(&widths);
    let titles = titles.map(|(title, &width)| format!("{title:^width$}"));
    writeln!(out, "{}", line(titles.collect()))?;
    if !rows.is_empty() {
        writeln!(out, "{}", rule("├", "┼", "┤"))?;
    }
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, &width)| format!("{:>width$}", cell.replace('\n', " ")));
        writeln!(out, "{}", line(cells.collect()))?;
    }
    writeln!(out, "{}", rule("└", "┴", "┘"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_drawn_as_etcdctl_draws_them() {
        let mut out = Vec::new();
        let rows = [vec!["127.0.0.1:2379".to_owned(), "é".to_owned()]];
        draw(&mut out, &["ENDPOINT", "ID"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "┌────────────────┬────┐\n\
             │    ENDPOINT    │ ID │\n\
             ├────────────────┼────┤\n\
             │ 127.0.0.1:2379 │  é │\n\
             └────────────────┴────┘\n"
        );
    }

    #[test]
    fn a_table_without_rows_has_no_rule_below_its_header() {
        let mut out = Vec::new();
        draw(&mut out, &["A"], &[]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "┌───┐\n│ A │\n└───┘\n");
    }

    #[test]
    fn an_empty_database_has_no_share() {
        assert_eq!(percent_free(0, 0), 0);
        assert_eq!(percent_free(28_672, 16_384), 43);
    }
}
