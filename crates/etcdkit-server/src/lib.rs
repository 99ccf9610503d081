//! etcdkit-server
