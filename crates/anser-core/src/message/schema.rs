//! The JSON Schema (2020-12) of the format, generated from the types. `docs/spec/message.schema.json` is its committed
//! form; a test fails when it is stale.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Message;

/// The schema's own address, also its `$id`.
pub const SCHEMA_ID: &str = "https://anser.dev/schema/anser.message-1.json";

/// The schema of one stored or sent message.
#[must_use]
pub fn message_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Message>();
    schema.insert("$id".to_owned(), SCHEMA_ID.into());
    schema.insert("title".to_owned(), "anser.message/1".into());
    schema.to_value()
}
