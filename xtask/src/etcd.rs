//! Real etcd servers for the tests: finds them, and fetches missing ones where the machine is Debian.
//!
//! Packages are downloaded with a private apt configuration and unpacked below `target/`, which
//! needs no root and starts no service. The private configuration is the machine's own with
//! another suite name, so mirrors, proxies and keys are the ones its owner chose.

use std::{
    collections::HashSet,
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{must, root};

/// The variable through which tests learn of etcd binaries that are not on `PATH`.
pub(crate) const VARIABLE: &str = "ETCDKIT_TEST_ETCD";

/// The series to test against, and the Debian suite that has it.
const SERIES: &[(&str, &str)] = &[("3.4", "bookworm"), ("3.5", "trixie")];

/// The server, and the `etcdctl` that the command line is compared with.
const PACKAGES: [&str; 2] = ["etcd-server", "etcd-client"];

/// An etcd binary.
pub(crate) struct Etcd {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

/// Every etcd on this machine, after fetching the series that are missing.
///
/// A series that cannot be had is named on standard error; having none at all is an error.
pub(crate) fn provide() -> Result<Vec<Etcd>, Box<dyn Error>> {
    let mut etcds = present()?;
    for (series, suite) in SERIES {
        let prefix = format!("{series}.");
        if etcds.iter().any(|etcd| etcd.version.starts_with(&prefix)) {
            continue;
        }
        match fetch(suite) {
            Ok(etcd) => etcds.push(etcd),
            Err(error) => eprintln!(
                "\n!!! etcd {series} IS NOT TESTED: fetching it from Debian {suite} failed: {error}\n"
            ),
        }
    }
    if etcds.is_empty() {
        install()?;
        etcds = present()?;
    }
    if etcds.is_empty() {
        return Err(missing().into());
    }
    Ok(etcds)
}

fn missing() -> String {
    format!(
        "no etcd found: run `apt-get install {}` as root, or set {VARIABLE} to a colon-separated \
         list of etcd binaries",
        PACKAGES.join(" ")
    )
}

/// The etcds named in the variable and on `PATH`, each file once.
fn present() -> Result<Vec<Etcd>, Box<dyn Error>> {
    let named = env::var_os(VARIABLE).unwrap_or_default();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut etcds = Vec::new();
    let mut seen = HashSet::new();
    for file in env::split_paths(&named).filter(|file| !file.as_os_str().is_empty()) {
        let broken = |error| format!("{VARIABLE} names {}: {error}", file.display());
        if seen.insert(file.canonicalize().map_err(broken)?) {
            etcds.push(probe(file.clone()).map_err(broken)?);
        }
    }
    for file in env::split_paths(&path).map(|folder| folder.join("etcd")) {
        let Ok(resolved) = file.canonicalize() else {
            continue;
        };
        if seen.insert(resolved)
            && let Ok(etcd) = probe(file)
        {
            etcds.push(etcd);
        }
    }
    Ok(etcds)
}

fn probe(path: PathBuf) -> io::Result<Etcd> {
    let output = Command::new(&path).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "))
        .ok_or_else(|| io::Error::other("it does not answer `--version` as etcd does"))?
        .trim()
        .to_owned();
    Ok(Etcd { path, version })
}

/// Etcd as the Debian suite has it, from `target/etcd/<suite>`; downloaded on first use.
fn fetch(suite: &str) -> Result<Etcd, Box<dyn Error>> {
    let folder = root().join("target/etcd").join(suite);
    let binary = folder.join("usr/bin/etcd");
    if !binary.exists() || !binary.with_file_name("etcdctl").exists() {
        println!("fetching etcd from Debian {suite}");
        download(suite, &folder)?;
    }
    Ok(probe(binary)?)
}

fn download(suite: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let sources = sources_with_suite(Path::new("/etc"), suite)?;
    let apt = root().join("target/etcd/apt").join(suite);
    for part in ["lists/partial", "cache/archives/partial", "download"] {
        fs::create_dir_all(apt.join(part))?;
    }
    let mut files = Vec::new();
    for (kind, text) in [("list", sources.list), ("sources", sources.deb822)] {
        let dir = apt.join("sources.d");
        fs::create_dir_all(&dir)?;
        let file = dir.join(format!("debian.{kind}"));
        fs::write(&file, text)?;
        files.push(file);
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        for option in [
            "Dir::Etc::SourceList=/dev/null".to_owned(),
            format!("Dir::Etc::SourceParts={}", apt.join("sources.d").display()),
            format!("Dir::State={}", apt.display()),
            format!("Dir::State::Lists={}", apt.join("lists").display()),
            "Dir::State::Status=/var/lib/dpkg/status".to_owned(),
            format!("Dir::Cache={}", apt.join("cache").display()),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
            "Acquire::https::Timeout=20".to_owned(),
            "Acquire::Retries=1".to_owned(),
            // As root, apt would download as a user who may not enter the workspace.
            format!("APT::Sandbox::User={}", user().unwrap_or_default()),
        ] {
            command.arg("-o").arg(option);
        }
        command
            .arg("-q")
            .args(arguments)
            .current_dir(apt.join("download"))
            .stdin(Stdio::null());
        command
    };
    must(&mut apt_get(&["update"]))?;
    must(apt_get(&["download"]).args(PACKAGES))?;

    // Unpacked beside and renamed, so that an interrupted run leaves nothing half done in place.
    let unpacked = apt.join("unpacked");
    for entry in fs::read_dir(apt.join("download"))? {
        let package = entry?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            must(Command::new("dpkg").arg("-x").args([&package, &unpacked]))?;
        }
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(unpacked, folder)?;
    fs::remove_dir_all(apt)?;
    Ok(())
}

fn user() -> Option<String> {
    let output = Command::new("id").arg("-un").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The last resort: apt-get as root. Debian's package starts etcd as a service where services run.
fn install() -> Result<(), Box<dyn Error>> {
    let runs = |command: &mut Command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !runs(Command::new("apt-get").arg("--version")) {
        return Err(missing().into());
    }
    let mut apt_get = if user().as_deref() == Some("root") {
        Command::new("apt-get")
    } else if runs(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "apt-get"]);
        sudo
    } else {
        return Err(missing().into());
    };
    must(
        apt_get
            .args(["install", "-y", "--no-install-recommends"])
            .args(PACKAGES)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// The machine's Debian sources, in apt's two formats, with the name of the suite replaced.
#[derive(Debug, Default, PartialEq)]
struct Sources {
    list: String,
    deb822: String,
}

fn sources_with_suite(etc: &Path, suite: &str) -> Result<Sources, Box<dyn Error>> {
    let release = fs::read_to_string(etc.join("os-release"))?;
    let field = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    if field("ID") != Some("debian") {
        return Err("this machine is not Debian".into());
    }
    let own = field("VERSION_CODENAME").ok_or("os-release names no VERSION_CODENAME")?;

    let mut files = vec![etc.join("apt/sources.list")];
    if let Ok(folder) = fs::read_dir(etc.join("apt/sources.list.d")) {
        files.extend(folder.filter_map(|entry| Some(entry.ok()?.path())));
    }
    let mut sources = Sources::default();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.list.push_str(&rename_in_list(&text, own, suite)),
            Some("sources") => sources
                .deb822
                .push_str(&rename_in_deb822(&text, own, suite)),
            _ => {}
        }
    }
    if sources == Sources::default() {
        return Err(format!("apt has no source for Debian {own}").into());
    }
    Ok(sources)
}

/// The lines `deb [options] uri own … main …` with `suite` in place of `own`.
fn rename_in_list(text: &str, own: &str, suite: &str) -> String {
    let mut renamed = String::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else {
            continue;
        };
        let (options, rest) = match rest.trim_start().strip_prefix('[') {
            Some(bracketed) => match bracketed.split_once(']') {
                Some((options, rest)) => (format!("[{options}] "), rest),
                None => continue,
            },
            None => (String::new(), rest),
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        if let [uri, listed, components @ ..] = words.as_slice()
            && is_suite(listed, own)
            && components.contains(&"main")
        {
            renamed.push_str(&format!(
                "deb {options}{uri} {suite} {}\n",
                components.join(" ")
            ));
        }
    }
    renamed
}

/// The stanzas with `own` among their suites, with `suite` as the only one.
fn rename_in_deb822(text: &str, own: &str, suite: &str) -> String {
    let mut renamed = String::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let field = |name: &str| {
            stanza
                .iter()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
        };
        let has = |name: &str, word: &str| field(name).split_whitespace().any(|w| w == word);
        if field("Suites")
            .split_whitespace()
            .any(|word| is_suite(word, own))
            && has("Types", "deb")
            && has("Components", "main")
            && !has("Enabled", "no")
        {
            for line in stanza {
                if line.starts_with("Suites:") {
                    renamed.push_str(&format!("Suites: {suite}\n"));
                } else {
                    renamed.push_str(line);
                    renamed.push('\n');
                }
            }
            renamed.push('\n');
        }
    }
    renamed
}

/// Whether a suite in a source is the release itself, not its updates or another vendor's.
fn is_suite(listed: &str, own: &str) -> bool {
    listed == own || listed == "stable"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_sources_change_suite_and_keep_the_rest() {
        let text = "\
# deb http://mirror.test/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main contrib
deb http://mirror.test/debian bookworm-updates main
deb-src http://mirror.test/debian bookworm main
deb http://vendor.test/apt bookworm stable
";
        assert_eq!(
            rename_in_list(text, "bookworm", "trixie"),
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian trixie main contrib\n"
        );
    }

    #[test]
    fn deb822_sources_change_suite_and_keep_the_rest() {
        let text = "\
Types: deb
# a remark
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
";
        assert_eq!(
            rename_in_deb822(text, "bookworm", "trixie"),
            "Types: deb\nURIs: http://mirror.test/debian\nSuites: trixie\nComponents: main\n\
             Signed-By: /k.gpg\n\n"
        );
    }
}
