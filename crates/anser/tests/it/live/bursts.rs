//! Many messages that wait when a client connects: however many are written together, none is left out.

use serde_json::json;

use super::client::Client;
use super::{WIRES, World, text};

/// More than any wire writes or answers at once, and than is read from the store at a time.
const MESSAGES: usize = 250;

#[tokio::test]
async fn everything_that_waits_comes_in_order() {
    let world = World::start().await;
    let api = world.server.api();
    for wire in WIRES {
        let user = format!("late-{wire}");
        let address = format!("user:{user}");
        let item =
            |n| json!({"header": {"to": [address]}, "body": {"data": {"text": format!("{n}")}}});
        let items: Vec<_> = (0..MESSAGES).map(item).collect();
        for items in items.chunks(50) {
            api.make("/v1/messages", &json!(items)).await;
        }
        let mut client = Client::open(wire, &world, &world.token(&user).await, None).await;
        for n in 0..MESSAGES {
            let event = client.next_of("message").await;
            assert_eq!(text(&event), n.to_string(), "{wire}");
        }
    }
}
