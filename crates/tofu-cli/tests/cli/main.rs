//! The program as its users meet it: run with arguments and pipes, judged by its exit status, its
//! standard output and its standard error.

#![cfg(test)]

mod decode;
mod endings;
mod errors;
mod help;
mod listen;
mod measure;
mod nuisance;
mod send;
mod terminal;
mod tool;
mod vectors;
