//! How tofu is built: for those who read or change its code.
//!
//! Documentation only. A change that makes a sentence here untrue changes the sentence as well.
//!
#![doc = include_str!("../docs/architecture.md")]
