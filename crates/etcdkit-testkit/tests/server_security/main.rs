//! Who a caller is, by certificate or by token, and what becomes of the rest: told to the embedded
//! server and to every real etcd, whose answers must be the same.

mod certificates;
mod etcdctl;
mod handshakes;
mod jwt;
mod raw;
mod site;
mod transcript;
