//! What becomes of channels that are connected: events, losses, silence, changes, kills and the end.

use anser_core::connection::{Again, Loss, Recovery};
use anser_core::store::StoreError;

use super::*;
use crate::fixture::Fault;
use crate::fixture::platform::{Call, said};

const LIVE: Do = Do::Live(Recovery::Missed);
const BREAK: Do = Do::Lost(Loss::Network, Again::Backoff);

#[tokio::test(start_paused = true)]
async fn events_are_stored_in_order_before_the_platform_hears_of_them() {
    let setup = Setup::new(vec![vec![
        (1, LIVE),
        (2, Do::Take(&["e1", "e2"])),
        (3, Do::Take(&["e3"])),
        (3, Do::Take(&["e4"])),
        (4, Do::Take(&["e2", "e3"])),
    ]]);
    setup.until(2).await;
    setup.fixture.faults.push(Fault::Fail(StoreError::Full));
    setup.until(5).await;
    assert_eq!(
        setup.script.told(),
        [
            "begin -",
            "stored 1",
            "not stored 2",
            "stored 3",
            "stored 4"
        ]
    );
    assert_eq!(setup.on("talk").await, ["e1", "e2", "e4", "e3"]);
    let view = setup.view();
    assert_eq!(view.link.state, ConnectionState::Live);
    assert_eq!(view.link.session.as_deref(), Some("s1"));
    assert_eq!(view.link.events, 5, "repeats too");
    assert!(view.link.last_event > Some(START.plus(Duration::from_secs(3))));
    let text = setup.fixture.gateway.metrics_text();
    for line in [
        "anser_inbound_received_total{channel=\"bot\"} 4",
        "anser_inbound_duplicates_total{channel=\"bot\"} 1",
        "anser_connection_live{channel=\"bot\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_by_a_callback_does_not_come_again_over_the_connection() {
    let setup = Setup::new(vec![vec![(1, LIVE), (2, Do::Take(&["e1", "e2"]))]]);
    let gateway = &setup.fixture.gateway;
    let call = Call::of(&json!([said("e1", "hi")]));
    gateway.take_in("bot", &call.request()).await.unwrap();
    setup.until(3).await;
    assert_eq!(setup.script.told(), ["begin -", "stored 1"]);
    assert_eq!(setup.on("talk").await, [Value::Null, json!("e2")]);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_in_the_journal_and_the_operator_is_told() {
    let setup = Setup::new(vec![
        vec![(1, LIVE), (60, Do::Keep("r1")), (80, BREAK)],
        vec![(1, BREAK)],
        vec![(1, BREAK)],
        vec![(0, LIVE), (5, Do::Unread("a frame of no kind"))],
    ]);
    setup.until(100).await;
    assert_eq!(
        setup.script.told(),
        ["begin -", "begin r1", "begin r1", "begin r1"]
    );
    assert_eq!(
        setup.events().await,
        ["live", "lost", "failed", "live", "unread"]
    );
    let journal = setup.journal().await;
    assert_eq!(journal[1]["live_ms"], 79_000);
    assert_eq!(journal[2]["tries"], 2);
    assert_eq!(journal[3]["tries"], 3);
    let told = setup.on("$ops").await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["channel"], "bot");
    assert_eq!(told[0]["reason"], "network");
    assert_eq!(told[0]["detail"], "it was Network");
    assert_eq!(told[1]["gap_ms"], journal[3]["gap"]["ms"]);
    let headers = setup.fixture.stored().await;
    let header: Value = serde_json::from_slice(&headers[0].document).unwrap();
    assert_eq!(header["header"]["type"], "connection.lost");
    assert_eq!(header["header"]["key"], "bot");
    let text = setup.fixture.gateway.metrics_text();
    for line in [
        "anser_connection_lost_total{channel=\"bot\",reason=\"network\"} 1",
        "anser_connection_failed_total{channel=\"bot\",reason=\"network\"} 2",
        "anser_connection_unread_total{channel=\"bot\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deaf_connection_is_replaced() {
    let setup = Setup::new(vec![vec![(1, LIVE)], vec![(1, LIVE)]]);
    setup.until(90).await;
    assert_eq!(setup.view().link.state, ConnectionState::Live);
    setup.until(95).await;
    assert_eq!(setup.events().await, ["live", "lost", "live"]);
    let journal = setup.journal().await;
    assert_eq!(journal[1]["reason"], "deaf");
    assert_eq!(journal[2]["gap"]["ms"], 91_000);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_tried_rarely_or_when_somebody_asks() {
    let refused = || vec![(0, Do::Lost(Loss::Refused, Again::Rarely))];
    let setup = Setup::new(vec![refused(), refused(), refused(), vec![(0, LIVE)]]);
    setup.until(1).await;
    let view = setup.view().link;
    assert_eq!(view.state, ConnectionState::Refused);
    assert_eq!(view.detail.as_deref(), Some("it was Refused"));
    setup.until(299).await;
    assert_eq!(setup.script.told().len(), 1);
    setup.until(301).await;
    assert_eq!(setup.script.told().len(), 2);
    for _ in 0..2 {
        setup.fixture.gateway.reconnect(anyone(), "bot").unwrap();
        pass(Duration::from_secs(1)).await;
    }
    assert_eq!(setup.view().link.state, ConnectionState::Live);
    assert_eq!(setup.events().await, ["failed", "live"]);
    assert_eq!(setup.on("$ops").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_want_another_connection() {
    let setup = Setup::new(vec![vec![(1, LIVE)], vec![(1, LIVE)]]);
    setup.until(10).await;
    setup.fixture.gateway.reconnect(anyone(), "BOT").unwrap();
    setup.until(12).await;
    let journal = setup.journal().await;
    assert_eq!(setup.events().await, ["live", "lost", "live"]);
    assert_eq!(journal[1]["reason"], "stopped");
    assert_eq!(journal[1]["detail"], "an operator asked for another");
    assert!(setup.on("$ops").await.is_empty());
    let unknown = setup.fixture.gateway.reconnect(anyone(), "shop");
    assert_eq!(unknown.unwrap_err().code, "not_connected");
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_channel_reach_its_connection() {
    let mut setup = Setup::new(vec![vec![(1, LIVE)], vec![(1, LIVE)], vec![(1, LIVE)]]);
    setup.until(10).await;
    // What has nothing to do with the connection leaves it alone.
    change(&mut setup, |entry| entry.spec.paused = true);
    setup.until(20).await;
    assert_eq!(setup.events().await, ["live"]);
    change(&mut setup, |entry| {
        entry.spec.settings = json!({"token": "another"});
    });
    setup.until(30).await;
    assert_eq!(setup.events().await, ["live", "lost", "live"]);
    assert_eq!(
        setup.journal().await[1]["detail"],
        "the channel was changed"
    );
    change(&mut setup, |entry| entry.spec.inbound = None);
    setup.until(40).await;
    assert_eq!(setup.events().await, ["live", "lost", "live", "lost"]);
    let gone = setup.fixture.gateway.get_connection(anyone(), "bot");
    assert_eq!(gone.unwrap_err().code, "not_connected");
    assert!(setup.on("$ops").await.is_empty());
}

/// Puts a channel into force that differs from the one before.
fn change(setup: &mut Setup, change: impl FnOnce(&mut ChannelEntry)) {
    let snapshot = &mut setup.fixture.snapshot;
    let mut entry = ChannelEntry::clone(&snapshot.channels["bot"]);
    change(&mut entry);
    let entry = Arc::new(entry);
    snapshot.channels_by_id.insert(entry.meta.id, entry.clone());
    snapshot.channels.insert("bot".to_owned(), entry);
    setup.fixture.reload();
    setup.fixture.gateway.connections.configured();
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_end_is_stored_and_acknowledged() {
    let setup = Setup::new(vec![vec![(1, LIVE), (2, Do::TakeAndBreak(&["e1", "e2"]))]]);
    setup.until(2).await;
    assert_eq!(setup.on("talk").await, ["e1", "e2"], "although it broke");
    let script = setup.script.clone();
    let fixture = setup.stop().await;
    assert_eq!(script.told(), ["begin -"], "there was nobody to be told");
    assert!(fixture.gateway.connections.live().is_empty());

    let setup = Setup::new(vec![vec![(1, LIVE), (2, Do::Take(&["e1"]))]]);
    pass(Duration::from_secs(2)).await;
    let script = setup.script.clone();
    let fixture = setup.stop().await;
    assert_eq!(fixture.stored().await.len(), 1);
    assert_eq!(script.told(), ["begin -", "stored 1"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_the_journal_tells_who_was_away() {
    let setup = Setup::new(vec![vec![(1, LIVE), (5, Do::Take(&["e1"]))]]);
    setup.until(70).await;
    let setup = setup.killed(vec![vec![(10, LIVE), (11, Do::Take(&["e1", "e2"]))]]);
    let setup = setup.await;
    setup.until(90).await;
    assert_eq!(setup.events().await, ["live", "away", "live"]);
    let journal = setup.journal().await;
    assert_eq!(journal[0]["events"], 1);
    assert_eq!(journal[1]["at"], journal[0]["seen_at"]);
    assert_eq!(journal[2]["gap"]["since"], journal[1]["at"]);
    assert_eq!(setup.on("talk").await, ["e1", "e2"]);
}

#[tokio::test(start_paused = true)]
async fn a_state_machine_that_breaks_down_is_begun_anew_and_takes_no_other_along() {
    let setup = Setup::new(vec![vec![(1, LIVE), (2, Do::Panic)], vec![(1, LIVE)]]);
    setup.until(10).await;
    assert!(setup.fixture.gateway.connections.live().len() == 1);
    setup.until(70).await;
    assert_eq!(setup.view().link.state, ConnectionState::Live);
    assert_eq!(setup.script.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_read_in_pages_and_by_those_who_may() {
    let breaks = (0..6).map(|_| vec![(0, LIVE), (1, BREAK)]).collect();
    let setup = Setup::new(breaks);
    setup.until(120).await;
    let gateway = &setup.fixture.gateway;
    let mut query = ListQuery {
        limit: 5,
        cursor: None,
    };
    let mut numbers = Vec::new();
    loop {
        let page = gateway.connection_journal(anyone(), "bot", &query);
        let page = page.await.unwrap();
        numbers.extend(page.items.iter().map(|entry| entry.number));
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    let expected: Vec<u64> = (1..=12).rev().collect();
    assert_eq!(numbers, expected);
    query.cursor = Some("AAAA".to_owned());
    let forged = gateway.connection_journal(anyone(), "bot", &query).await;
    assert_eq!(forged.unwrap_err().code, "invalid_cursor");
    let stranger =
        crate::fixture::key(&[anser_core::resource::Scope::Read], None, Some(&["other"]));
    let query = ListQuery::default();
    assert!(
        gateway
            .connection_journal(&stranger, "bot", &query)
            .await
            .is_err()
    );
    assert!(gateway.get_connection(&stranger, "bot").is_err());
    assert!(gateway.reconnect(&stranger, "bot").is_err());
    let listed = gateway.list_connections(&stranger, &query).unwrap();
    assert!(listed.items.is_empty());
    let listed = gateway.list_connections(anyone(), &query).unwrap();
    assert_eq!(listed.items[0].channel, "bot");
}
