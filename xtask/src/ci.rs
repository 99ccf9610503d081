//! `cargo xtask ci`: everything a change must pass.

use std::{error::Error, process::Command};

use crate::{cargo, codegen, must, test};

/// Features that must build without any other.
const ALONE: &[(&str, &[&str])] = &[
    (
        "etcdkit",
        &[
            "",
            "tls-aws-lc",
            "tls-ring",
            "blocking",
            "discovery",
            "metrics",
            "serde",
            "v2",
            "yaml",
        ],
    ),
    ("etcdkit-proto", &["", "json", "v2"]),
    (
        "etcdkit-server",
        &["", "durable", "jwt", "tls", "self-signed"],
    ),
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
    for (package, features) in ALONE {
        for feature in *features {
            step(&format!("lints of {package} with {feature:?} alone"));
            must(&mut cargo(&[
                "clippy",
                "--package",
                package,
                "--no-default-features",
                "--features",
                feature,
                "--",
                "-D",
                "warnings",
            ]))?;
        }
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
