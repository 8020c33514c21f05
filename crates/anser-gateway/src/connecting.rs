//! Keeping channels connected to their platforms: one task a channel under one supervisor, which carries out what the channel's
//! state machine and the plan of its connections say. Must not decide itself when to connect, nor know a platform.

mod drive;
mod keep;
mod look;
mod run;
mod supervise;

#[cfg(test)]
mod tests;

pub(crate) use supervise::supervise;
