//! The demo's own client: sets up topic, channels and subscriptions, and publishes orders, all through the HTTP API.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::port::{ORDERS, Port, WAREHOUSE_TIMEOUT, is_refund};
use super::receiver::Receivers;
use super::tally::Tally;
use crate::client::Api;
use crate::exit::Failure;

/// The topic.
pub(crate) const TOPIC: &str = "orders";
/// Between two rounds of publishing.
const ROUND: Duration = Duration::from_millis(50);
/// Messages a round that go in one request, beside one alone.
const BATCH: u64 = 4;

/// Makes everything that a message needs to get to the receivers.
pub(crate) async fn configure(api: &Api, receivers: &Receivers) -> Result<(), Failure> {
    api.post(&["v1", "topics"], &json!({"name": TOPIC})).await?;
    for port in Port::ALL {
        let settings =
            json!({"url": receivers.url(port), "format": "data", "secret": receivers.secret()});
        let mut channel = json!({"name": port.name(), "kind": "webhook", "settings": settings});
        let mut subscription = json!({"name": port.name(), "channel": port.name()});
        match port {
            Port::Billing => {}
            Port::Warehouse => channel["timeout"] = WAREHOUSE_TIMEOUT.as_secs().into(),
            Port::Audit => subscription["filter"] = json!({"types": ["order.refunded"]}),
        }
        api.post(&["v1", "channels"], &channel).await?;
        api.post(&["v1", "topics", TOPIC, "subscriptions"], &subscription)
            .await?;
    }
    Ok(())
}

/// Publishes orders for `length`, one round after the other, so that the order of each key is known.
pub(crate) async fn publish(api: Api, tally: Arc<Tally>, length: Duration) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 1;
    while tally.elapsed() < length {
        rounds.tick().await;
        send(&api, &tally, &[number]).await;
        let batch: Vec<u64> = (number + 1..=number + BATCH).collect();
        send(&api, &tally, &batch).await;
        number += 1 + BATCH;
    }
    tally.done();
}

async fn send(api: &Api, tally: &Tally, numbers: &[u64]) {
    for number in numbers {
        tally.sending(*number);
    }
    let items: Vec<Value> = numbers.iter().map(|number| item(*number)).collect();
    let body = match items.as_slice() {
        [item] => item.clone(),
        items => json!(items),
    };
    let answer = api.post(&["v1", "topics", TOPIC, "messages"], &body).await;
    let results = match answer.and_then(|answer| answer.json()) {
        Ok(mut answer) => match answer.get_mut("results").map(Value::take) {
            Some(Value::Array(results)) => results,
            _ => vec![answer],
        },
        Err(_) => Vec::new(),
    };
    for (place, number) in numbers.iter().enumerate() {
        let accepted = results
            .get(place)
            .is_some_and(|result| result.get("id").is_some());
        tally.answered(*number, accepted);
    }
}

fn item(number: u64) -> Value {
    let order = format!("order-{}", number % ORDERS);
    let kind = if is_refund(number) {
        "order.refunded"
    } else {
        "order.paid"
    };
    json!({
        "header": {"type": kind, "key": order},
        "body": {"data": {"number": number, "order": order, "total": 9.95}},
    })
}
