//! Authentication on real etcd: one login for all, renewed before it ends, and nothing lost when
//! servers forget or refuse it.

mod calls;
mod credentials;
mod streams;
mod support;
