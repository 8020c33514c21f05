//! What was accepted outlives everything: kill -9 and SIGTERM under load, a damaged database, a full disk. Every check is
//! made from outside, by what publishers were told and what a receiver got.

mod damage;
mod disk;
mod ledger;
mod load;
mod rounds;
