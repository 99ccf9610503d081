//! Transactions in memory: read and write as if alone.
