//! Random steps, each theme in a file of its own.
//!
//! Not sent are a new member, which a cluster of one would wait for, and a role with an empty pattern, on
//! which real servers break off requests.

mod keys;
mod lapse;
mod odd;
mod others;
mod users;
mod watch;

use super::step::Step;
use crate::v2::http::Request;

/// Makes steps from a seed. Their indexes and values are relative; see `position.rs`.
#[derive(Debug)]
pub(super) struct Generator {
    random: fastrand::Rng,
}

/// What a case is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    /// Keys and directories.
    Keys,
    /// Parameters, paths and bodies that are wrong, or unusual.
    Odd,
    /// Long polls and streams.
    Watches,
    /// Keys whose time runs out.
    Lapses,
    /// Users and roles.
    Users,
    /// Members, statistics, and what is not there.
    Others,
}

/// Seeds in a row go through all of them.
const THEMES: [Theme; 6] = [
    Theme::Keys,
    Theme::Odd,
    Theme::Watches,
    Theme::Lapses,
    Theme::Users,
    Theme::Others,
];

/// Every so many steps the whole tree is compared.
const LIST_INTERVAL: usize = 40;

impl Generator {
    /// About `length` steps.
    pub(super) fn case(seed: u64, length: usize) -> Vec<Step> {
        let mut generator = Self {
            random: fastrand::Rng::with_seed(seed),
        };
        let theme = THEMES[(seed % THEMES.len() as u64) as usize];
        generator.steps(theme, length)
    }

    fn steps(&mut self, theme: Theme, length: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        if theme == Theme::Users {
            steps.extend(self.first_users());
        }
        // A password is hashed for each request that names a user, and a lapse takes a second.
        let length = match theme {
            Theme::Users => length / 4,
            Theme::Lapses => length / 10,
            _ => length,
        };
        while steps.len() < length {
            let chance = self.random.u32(..100);
            let special: fn(&mut Self) -> Step = match theme {
                Theme::Keys => Self::key_step,
                Theme::Odd => Self::odd_step,
                Theme::Watches => Self::watch_step,
                Theme::Lapses => Self::lapse_step,
                Theme::Users => Self::user_step,
                Theme::Others => Self::other_step,
            };
            steps.push(match chance {
                0..60 => special(self),
                _ => self.key_step(),
            });
            if steps.len().is_multiple_of(LIST_INTERVAL) {
                steps.push(everything());
            }
        }
        if theme == Theme::Users {
            steps.extend(Self::last_users());
        }
        steps.extend(Self::last_watch_steps());
        steps.push(everything());
        // A real server also counts what it reads by itself for health checks and about members.
        if theme != Theme::Others {
            steps.push(Step::Count);
        }
        steps
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }
}

/// The whole tree, but for what is hidden.
fn everything() -> Step {
    Step::Send(Request::new(
        "GET",
        "/v2/keys/?recursive=true&sorted=true&quorum=true",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ends by itself does so in steps that wait for it only.
    #[test]
    fn nothing_ends_while_a_case_goes_on() {
        for seed in 0..600 {
            let steps = Generator::case(seed, 300);
            let sent = steps.iter().filter(|step| !matches!(step, Step::Lapse(_)));
            for request in sent.flat_map(Step::requests) {
                let body = request.body.as_deref().unwrap_or_default();
                let said = format!("{}&{}", request.target, String::from_utf8_lossy(body));
                let times = said
                    .split(['?', '&'])
                    .filter_map(|part| part.strip_prefix("ttl="));
                for time in times {
                    assert!(!time.contains("now"), "seed {seed}: {request:?}");
                    // Go takes no sign.
                    let is_number = time.bytes().all(|byte| byte.is_ascii_digit());
                    let seconds = time.parse::<u64>().ok().filter(|_| is_number);
                    let nanos = seconds.map(|ttl| ttl.cast_signed().wrapping_mul(1_000_000_000));
                    let short = -10_i64.pow(18)..1_000_000_000_000;
                    let is_short = nanos.is_some_and(|nanos| short.contains(&nanos));
                    assert!(!is_short, "seed {seed}: {request:?}");
                }
            }
        }
    }

    #[test]
    fn a_seed_always_gives_the_same_steps() {
        for seed in 0..12 {
            assert_eq!(Generator::case(seed, 100), Generator::case(seed, 100));
        }
        assert_ne!(Generator::case(6, 100), Generator::case(12, 100));
    }
}
