//! `gmai curate` through its public interface: made-up folders in, dataset folders out.
#![allow(clippy::unwrap_used)]

mod bad_files;
mod boxes;
mod configs;
mod marks;
mod open_data;
mod pictures;
mod privacy;
mod questions;
mod real_sets;
mod restart;
mod runs;
mod texts;
mod volumes;
mod world;
