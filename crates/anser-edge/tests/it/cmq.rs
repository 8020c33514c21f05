//! The CMQ door: what each of Tencent's clients sends is taken, what the documents refuse is refused with their codes and
//! leaves nothing behind, and the answers have every member that clients read.

mod admission;
mod clients;
mod queues;
mod refusals;
mod signer;
mod topics;
