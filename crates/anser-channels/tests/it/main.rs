//! What every kind of channel must keep, run over the registry.

// The lints on `unwrap` tell tests from other code by this attribute.
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod media;
#[cfg(test)]
mod snapshot;
