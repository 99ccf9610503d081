//! Elections as programs use them, on the embedded server and on every real etcd that is found.

mod campaigns;
mod lateness;
mod observers;
mod restarts;
mod support;
