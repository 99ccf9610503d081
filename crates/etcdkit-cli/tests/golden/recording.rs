//! What etcdctl printed, kept in a file.

use std::{collections::HashMap, fs, path::PathBuf};

use crate::{cases::Case, mask::Masked};

/// Results by the titles of cases.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    order: Vec<String>,
    results: HashMap<String, Masked>,
}

const TITLE: &str = "======== ";
const ERROR: &str = "-------- ";
const CODE: &str = "exit code ";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/etcdctl-3.7.txt")
}

impl Recording {
    pub(crate) fn push(&mut self, case: &Case, result: Masked) {
        let title = case.title();
        self.order.push(title.clone());
        let before = self.results.insert(title.clone(), result);
        assert!(before.is_none(), "two cases are titled {title}");
    }

    pub(crate) fn of(&self, case: &Case) -> &Masked {
        let title = case.title();
        self.results.get(&title).unwrap_or_else(|| {
            panic!("no recording of {title}; record with ETCDKIT_RECORD_GOLDEN=1 and etcdctl 3.7")
        })
    }

    pub(crate) fn save(&self) {
        let mut text = String::new();
        for title in &self.order {
            let Masked {
                stdout,
                error,
                code,
            } = &self.results[title];
            text += &format!("{TITLE}{title}\n{stdout}\n{ERROR}{error}\n{CODE}{code}\n");
        }
        fs::write(file(), text).unwrap();
    }

    pub(crate) fn load() -> Self {
        let mut recording = Self::default();
        let text = fs::read_to_string(file()).unwrap();
        for entry in text.split(TITLE).skip(1) {
            let (title, rest) = entry.split_once('\n').unwrap();
            let (stdout, rest) = rest.split_once(&format!("\n{ERROR}")).unwrap();
            let (error, code) = rest.split_once(&format!("\n{CODE}")).unwrap();
            let masked = Masked {
                stdout: stdout.to_owned(),
                error: error.to_owned(),
                code: code.trim().parse().unwrap(),
            };
            recording.results.insert(title.to_owned(), masked);
        }
        recording
    }
}
