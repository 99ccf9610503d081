//! The v2 client among endpoints that are dead, silent, dying, lying and sending it elsewhere: on fakes
//! and on real etcd.

mod failover;
mod identity;
mod redirects;
mod served;
mod silence;
