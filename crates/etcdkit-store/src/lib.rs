//! etcdkit-store
