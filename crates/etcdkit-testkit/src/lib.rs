//! etcdkit-testkit
