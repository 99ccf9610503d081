//! Watchers beside a store: the rules one by one, and random histories.

#![allow(clippy::unwrap_used)]

mod random;
mod rules;
mod world;
