//! etcd's older API.

use clap::Args;

#[derive(Args, Clone, Debug)]
pub(crate) struct V2Args {
    /// Answer etcd's v2 API too, under /v2 of the same addresses; its keys are apart from those of v3
    #[arg(long, env = "ETCD_ENABLE_V2")]
    pub(crate) enable_v2: bool,

    /// Answer what only etcd 0.x has, too: /mod/v2/lock, /mod/v2/leader, /v2/leader, /v2/admin; implies --enable-v2
    #[arg(long)]
    pub(crate) enable_v2_modules: bool,
}
