//! What the output of `cargo test` says of tests that failed, in a few lines each: of a long output often
//! only the end is kept.

/// How many lines of a panic's message, or of the end of a process, are shown.
const LINES: usize = 12;

/// A test that failed, or a target that ended before it could say which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Failure {
    /// Empty if the whole target failed.
    test: String,
    /// What Cargo calls the target, such as `-p etcdkit --test scan`.
    target: String,
    /// The messages of its panics and errors.
    says: Vec<String>,
}

/// The failures in an output of `cargo test`, with how to run each of them again; nothing if there is none.
pub(crate) fn summary(output: &str) -> String {
    let failures = find(output);
    if failures.is_empty() {
        return String::new();
    }
    let shown = failures.iter().map(Failure::shown);
    format!("failed: {}\n{}", failures.len(), shown.collect::<String>())
}

impl Failure {
    fn shown(&self) -> String {
        let mut shown = match self.test.as_str() {
            "" => format!("\n{}\n  cargo xtask test {}\n", self.target, self.target),
            test => format!(
                "\n{test}\n  cargo xtask test {} -- --exact '{test}'\n",
                self.target
            ),
        };
        for line in &self.says {
            shown.push_str(&format!("  | {line}\n"));
        }
        shown
    }
}

/// Where the reader is in the output.
enum Place {
    /// Among what nobody needs again.
    Between,
    /// In what a failed test has printed.
    Test,
    /// In a panic's message, or an error, in what a failed test has printed.
    Message,
    /// Behind a target that failed without saying which test did.
    Target,
}

fn find(output: &str) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    // Those of the target under way, whose name comes after them.
    let mut current: Vec<Failure> = Vec::new();
    let mut place = Place::Between;
    for line in output.lines() {
        if let Some(test) = heading(line) {
            current.push(Failure {
                test: test.to_owned(),
                ..Failure::default()
            });
            place = Place::Test;
            continue;
        }
        if let Some(target) = failed_target(line) {
            place = Place::Between;
            if current.is_empty() {
                current.push(Failure::default());
                place = Place::Target;
            }
            for failure in &mut current {
                failure.target = target.to_owned();
            }
            failures.append(&mut current);
            continue;
        }
        place = match place {
            Place::Between => Place::Between,
            Place::Test | Place::Message if line == "failures:" => Place::Between,
            Place::Message if ends_message(line) => Place::Test,
            Place::Test if begins_message(line) => {
                say(current.last_mut(), line);
                Place::Message
            }
            Place::Message => {
                say(current.last_mut(), line);
                Place::Message
            }
            Place::Test => Place::Test,
            // Cargo goes on with other targets, or ends.
            Place::Target if !line.starts_with(' ') && !line.is_empty() && line != "Caused by:" => {
                Place::Between
            }
            Place::Target if line.starts_with("     Running") => Place::Between,
            Place::Target => {
                say(failures.last_mut(), line);
                Place::Target
            }
        };
    }
    failures
}

/// The test whose output follows.
fn heading(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

fn failed_target(line: &str) -> Option<&str> {
    let (_, target) = line.split_once("test failed, to rerun pass `")?;
    target.strip_suffix('`')
}

fn begins_message(line: &str) -> bool {
    let is_panic = line.starts_with("thread '") && line.contains(" panicked at ");
    is_panic || line.starts_with("Error: ") || line.starts_with("error")
}

fn ends_message(line: &str) -> bool {
    ["stack backtrace:", "note: "]
        .iter()
        .any(|end| line.starts_with(end))
}

fn say(failure: Option<&mut Failure>, line: &str) {
    if let Some(failure) = failure
        && !line.trim().is_empty()
        && failure.says.len() < LINES
    {
        failure.says.push(line.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_named_with_its_message_and_how_to_run_it_again() {
        let output = "\
     Running tests/one.rs (target/debug/deps/one-891adf2b34541986)

running 2 tests
test scenes::first ... FAILED
test second ... FAILED

failures:

---- scenes::first stdout ----
on etcd 3.4.23

thread 'scenes::first' (22125) panicked at crates/x/tests/one.rs:51:17:
assertion `left == right` failed: why

  left: 1
 right: 2
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:689:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.

---- second stdout ----
Error: \"nothing there\"


failures:
    scenes::first
    second

test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 12.40s

error: test failed, to rerun pass `-p x --test one`
     Running tests/two.rs (target/debug/deps/two-147d56fe15852cae)

running 1 test
test third ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

error: 1 target failed:
    `-p x --test one`
";
        assert_eq!(
            summary(output),
            "\
failed: 2

scenes::first
  cargo xtask test -p x --test one -- --exact 'scenes::first'
  | thread 'scenes::first' (22125) panicked at crates/x/tests/one.rs:51:17:
  | assertion `left == right` failed: why
  |   left: 1
  |  right: 2

second
  cargo xtask test -p x --test one -- --exact 'second'
  | Error: \"nothing there\"
"
        );
    }

    #[test]
    fn a_target_that_is_killed_is_named_with_how_it_ended() {
        let output = "\
running 1 test
error: test failed, to rerun pass `-p x --lib`

Caused by:
  process didn't exit successfully: `/target/debug/deps/x-1` (signal: 6, SIGABRT: process abort signal)
     Running tests/two.rs (target/debug/deps/two-147d56fe15852cae)
";
        assert_eq!(
            summary(output),
            "\
failed: 1

-p x --lib
  cargo xtask test -p x --lib
  | Caused by:
  |   process didn't exit successfully: `/target/debug/deps/x-1` (signal: 6, SIGABRT: process abort signal)
"
        );
    }

    #[test]
    fn long_messages_are_cut_and_nothing_is_said_of_success() {
        assert_eq!(summary("test result: ok. 1 passed\n"), "");
        let lines = "another line\n".repeat(100);
        let output = format!(
            "---- t stdout ----\nthread 't' (1) panicked at a.rs:1:1:\n{lines}\
             error: test failed, to rerun pass `-p x --lib`\n"
        );
        assert_eq!(summary(&output).matches("another line").count(), LINES - 1);
    }
}
