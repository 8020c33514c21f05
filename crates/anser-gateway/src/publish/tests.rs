//! Publish on the model store: what is refused and how, what is stored, where it goes.

mod accept;
mod blobs;
mod dedupe;
mod failing;
mod queues;
mod reply;
mod routing;
mod system;
mod waiting;

use super::*;
use crate::fixture::{Fixture, START, anyone, key, read};
use serde_json::{Value, json};

fn data(value: Value) -> Value {
    json!({"body": {"data": value}})
}

fn options() -> PublishOptions {
    PublishOptions::default()
}
