//! The default format: bare keys and values, and rows with commas.

use std::io::{self, Write};

use etcdkit::{KeyValue, OpResponse, TxnResponse};

use super::{Reply, table};

pub(super) fn write(
    out: &mut dyn Write,
    reply: Reply<'_>,
    hex: bool,
    value_only: bool,
) -> io::Result<()> {
    match reply {
        Reply::Put(put) => {
            writeln!(out, "OK")?;
            key_values(out, put.prev_kv.iter(), hex, value_only)
        }
        Reply::Range(range) => key_values(out, &range.kvs, hex, value_only),
        Reply::Delete(delete) => {
            writeln!(out, "{}", delete.deleted)?;
            key_values(out, &delete.prev_kvs, hex, value_only)
        }
        Reply::Txn(txn) => transaction(out, txn, hex),
        Reply::Health(endpoints) => {
            for health in endpoints {
                let (endpoint, took) = (&health.endpoint, &health.took);
                // The unhealthy ones go where errors go.
                match &health.error {
                    None => writeln!(
                        out,
                        "{endpoint} is healthy: successfully committed proposal: took = {took}"
                    )?,
                    Some(error) => {
                        eprintln!("{endpoint} is unhealthy: failed to commit proposal: {error}");
                    }
                }
            }
            Ok(())
        }
        Reply::Members(_) | Reply::Status(_) | Reply::HashKv(_) => {
            for row in table::rows(reply) {
                writeln!(out, "{}", row.join(", "))?;
            }
            Ok(())
        }
    }
}

fn transaction(out: &mut dyn Write, txn: &TxnResponse, hex: bool) -> io::Result<()> {
    writeln!(out, "{}", if txn.succeeded { "SUCCESS" } else { "FAILURE" })?;
    for response in &txn.responses {
        writeln!(out)?;
        match response {
            OpResponse::Put(put) => write(out, Reply::Put(put), hex, false)?,
            OpResponse::Range(range) => write(out, Reply::Range(range), hex, false)?,
            OpResponse::Delete(delete) => write(out, Reply::Delete(delete), hex, false)?,
            OpResponse::Txn(txn) => transaction(out, txn, hex)?,
            other => writeln!(out, "unexpected response {other:?}")?,
        }
    }
    Ok(())
}

pub(super) fn key_values<'a>(
    out: &mut dyn Write,
    kvs: impl IntoIterator<Item = &'a KeyValue>,
    hex: bool,
    value_only: bool,
) -> io::Result<()> {
    for kv in kvs {
        if !value_only {
            line(out, &kv.key, hex)?;
        }
        line(out, &kv.value, hex)?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, bytes: &[u8], hex: bool) -> io::Result<()> {
    if hex {
        for byte in bytes {
            write!(out, "\\x{byte:02x}")?;
        }
    } else {
        out.write_all(bytes)?;
    }
    writeln!(out)
}
