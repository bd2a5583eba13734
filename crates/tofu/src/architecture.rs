//! How tofu is built. Documentation only.
//!
#![doc = include_str!("../docs/architecture.md")]
