//! Tests over the frames in `tests/data`, which were recorded from the original implementation.

#![cfg(test)]

mod compatibility;
mod data;
mod hostile;
mod seeds;
