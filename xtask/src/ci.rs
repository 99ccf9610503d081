//! `cargo xtask ci`: everything a change must pass.

use std::{error::Error, process::Command};

use crate::{cargo, codegen, must, test};

/// Features of the client that must build without any other.
const ALONE: &[&str] = &[
    "",
    "tls-aws-lc",
    "tls-ring",
    "blocking",
    "discovery",
    "metrics",
    "yaml",
];

/// Runs all checks, cheap ones first; the first failure ends it.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    install_components()?;

    step("formatting");
    must(&mut cargo(&["fmt", "--all", "--check"]))?;

    step("generated code");
    codegen::run(true)?;

    step("lints");
    must(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    for features in ALONE {
        step(&format!("lints of the client with {features:?} alone"));
        must(&mut cargo(&[
            "clippy",
            "--package",
            "etcdkit",
            "--no-default-features",
            "--features",
            features,
            "--",
            "-D",
            "warnings",
        ]))?;
    }

    step("documentation");
    must(
        cargo(&["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;

    step("tests");
    test::run(&[])
}

fn step(name: &str) {
    println!("\n=== {name}");
}

/// A minimal Rust installation lacks rustfmt and clippy; rustup can add them.
fn install_components() -> Result<(), Box<dyn Error>> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let present = cargo(&[subcommand, "--version"])
            .output()
            .is_ok_and(|output| output.status.success());
        if !present {
            must(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}
