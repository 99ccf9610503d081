//! Keys and directories whose time runs out.

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

impl Generator {
    pub(super) fn lapse_step(&mut self) -> Step {
        match self.random.u32(..10) {
            0..3 => self.open(),
            _ => self.lapse(),
        }
    }

    /// Up to four keys or directories with a second to live; those below others go with them. The last
    /// may have none, and be gone at once.
    fn lapse(&mut self) -> Step {
        let count = self.random.usize(1..=4);
        let mut requests = Vec::new();
        for turn in 1..=count {
            let path = self.key();
            let ttl = if turn == count && self.chance(25) {
                0
            } else {
                1
            };
            let form = match self.random.u32(..8) {
                0 => format!("dir=true&ttl={ttl}"),
                1 => format!("value=x&ttl={ttl}&prevExist=false"),
                2 => format!("value=x&ttl={ttl}&prevExist=true"),
                3 => format!("refresh=true&ttl={ttl}"),
                4 => format!("refresh=true&ttl={ttl}&prevExist=true"),
                _ => format!("value=x&ttl={ttl}"),
            };
            let method = if self.chance(10) && !form.contains("refresh") {
                "POST"
            } else {
                "PUT"
            };
            requests.push(Request::new(method, format!("/v2/keys{path}")).form(form));
        }
        Step::Lapse(requests)
    }
}
