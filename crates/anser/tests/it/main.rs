//! End-to-end tests: the real binary, real sockets, real files.

mod cli;
mod demo;
mod harness;
mod life;
mod readme;
