//! Long polls and streams.

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

/// How many may be open at once.
const SLOTS: usize = 6;

/// How far back a watch can begin.
const HISTORY: usize = 1_000;

impl Generator {
    pub(super) fn watch_step(&mut self) -> Step {
        match self.random.u32(..200) {
            0..100 => self.open(),
            100..115 => Step::HangUp {
                slot: self.random.usize(..SLOTS),
            },
            115 => Step::Fill(HISTORY + 20),
            116..120 => Step::Fill(3),
            120..124 => Step::Count,
            124..134 => self.at_the_end_of_history(),
            _ => self.key_step(),
        }
    }

    /// Asks for what is to come, or has come.
    pub(super) fn open(&mut self) -> Step {
        let slot = self.random.usize(..SLOTS);
        let path = if self.chance(12) { "/" } else { self.key() };
        let mut target = format!("/v2/keys{path}?wait=true");
        if self.chance(50) {
            target += "&recursive=true";
        }
        let streams = self.chance(25);
        if streams {
            target += "&stream=true";
        }
        // A real server ends a stream from the past after one event without a word, and the embedded one goes
        // on; each question about it would wait for what never comes.
        if !streams && self.chance(60) {
            target += &match self.random.u32(..20) {
                0..6 => format!("&waitIndex={{now-{}}}", self.random.u32(..12)),
                6..9 => format!("&waitIndex={{now-{}}}", self.random.u32(..60)),
                9..13 => "&waitIndex={now+1}".to_owned(),
                13..16 => format!("&waitIndex={{now+{}}}", self.random.u32(2..6)),
                16 => "&waitIndex=0".to_owned(),
                17 => "&waitIndex=1".to_owned(),
                18 => format!("&waitIndex={}", self.random.u32(1..8)),
                _ => "&waitIndex={now+100000}".to_owned(),
            };
        }
        if self.chance(2) {
            target += "&quorum=true";
        }
        if self.chance(2) {
            target += "&noValueOnSuccess=true";
        }
        let request = Request::new("GET", target);
        Step::Open { slot, request }
    }

    /// Where the last thousand events begin.
    fn at_the_end_of_history(&mut self) -> Step {
        let slot = self.random.usize(..SLOTS);
        let ago = HISTORY - 3 + self.random.usize(..6);
        let path = self.pick(&["/", "/fill", "/nope"]);
        let target = format!("/v2/keys{path}?wait=true&recursive=true&waitIndex={{now-{ago}}}");
        let request = Request::new("GET", target);
        Step::Open { slot, request }
    }

    /// Whoever waits for anything gets something, and then nobody waits.
    pub(super) fn last_watch_steps() -> Vec<Step> {
        let mut steps = vec![
            Step::Open {
                slot: SLOTS,
                request: Request::new("GET", "/v2/keys/last?wait=true"),
            },
            Step::Send(Request::new("PUT", "/v2/keys/last").form("value=x")),
        ];
        steps.extend((0..=SLOTS).map(|slot| Step::HangUp { slot }));
        steps
    }
}
