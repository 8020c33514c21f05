//! A successful answer of the server: kept as the text received, so that JSON output changes nothing in it.

use serde_json::Value;

use crate::exit::Failure;

/// What the server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The HTTP status, 200 to 299.
    pub(crate) status: u16,
    /// The body.
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.text).map_err(|error| {
            Failure::Here(anyhow::anyhow!(
                "the server answered {} with something that is no JSON ({error}); is it a gateway?",
                self.status
            ))
        })
    }
}
