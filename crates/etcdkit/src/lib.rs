//! etcdkit
