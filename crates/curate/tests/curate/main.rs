//! `gmai curate` through its public interface: made-up folders in, dataset folders out.
#![allow(clippy::unwrap_used)]

mod boxes;
mod configs;
mod open_data;
mod pictures;
mod questions;
mod runs;
mod volumes;
mod world;
