//! Locks and elections of `etcdkit::sync` beside those of others, in both directions: etcdctl of every
//! version found, the server's own lock and election services, and the keys that etcd's Go client makes.
//! Each on the real etcd and on the embedded server.

mod elections;
mod exclusion;
mod locks;
mod lost;
mod rwlocks;
mod services;
mod site;
