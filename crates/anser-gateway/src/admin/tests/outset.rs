//! The first moments of a gateway, while it looks for what an earlier run left undone.

use anser_core::delivery::DeliveryState;
use anser_core::message::Item;

use super::*;
use crate::fixture::Faults;
use crate::publish::PublishOptions;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_is_sent_to_a_new_channel_meanwhile_goes_out() {
    let store = Arc::new(Faults::new(Arc::new(MemoryStore::new())));
    let held = store.hold_groups().await;
    let setup = Setup::on(store.clone(), [7; 32]).await;
    // It reads the configuration and begins to look.
    tokio::task::yield_now().await;
    let mute = json!({"url": "https://shop.example/mute"});
    setup.channel("shop", mute).await.unwrap();
    let item = Item::from_json(br#"{"header": {"to": ["shop"]}, "body": {"data": 1}}"#);
    let sent = setup
        .gateway
        .publish_direct(&setup.admin, vec![item], PublishOptions::default());
    let id = sent.await.unwrap().remove(0).unwrap().id;
    drop(held);
    let row = setup.store.message(id).await.unwrap().unwrap();
    let ended = async {
        loop {
            let rows = setup.store.deliveries_of(row.num, 0, 10).await.unwrap();
            if rows[0].state.is_final() {
                return rows[0].state;
            }
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, ended).await;
    // The channel refuses to say it: it was tried.
    assert_eq!(ended.unwrap(), DeliveryState::Dead);
    setup.stop().await;
}
