//! The handle that users hold.

use std::sync::Arc;

/// A client of one etcd cluster: cheap to clone, every method takes `&self`.
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
}

/// What all clones of a client share.
pub(crate) struct Core {}
