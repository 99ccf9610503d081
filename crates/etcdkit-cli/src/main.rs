//! etcdkit-cli
fn main() {}
