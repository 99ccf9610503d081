//! A client for etcd's v2 API: the key space of directories that etcd 0.2 to 3.5 serve over HTTP.
