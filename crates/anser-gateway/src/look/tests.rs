//! Looking and acting on the model store: what is shown to whom, page by page.

use std::collections::BTreeSet;
use std::time::Duration;

use anser_core::delivery::DeliveryState;
use anser_core::id::Num;
use anser_core::resource::Scope;
use anser_core::store::{DeliveryRow, Settle};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::Principal;
use crate::fixture::{Fixture, START, anyone, key, read};
use crate::publish::{PublishOptions, Published};

fn item(header: Value) -> Value {
    json!({"body": {"data": 1}, "header": header})
}

fn messages(limit: usize) -> MessageQuery {
    MessageQuery {
        limit,
        ..MessageQuery::default()
    }
}

/// Every message, but for one change of the query.
fn asking(change: impl FnOnce(&mut MessageQuery)) -> MessageQuery {
    let mut query = messages(0);
    change(&mut query);
    query
}

/// Every delivery, but for one change of the query.
fn deliveries(change: impl FnOnce(&mut DeliveryQuery)) -> DeliveryQuery {
    let mut query = DeliveryQuery::default();
    change(&mut query);
    query
}

fn in_state(state: ViewState) -> DeliveryQuery {
    DeliveryQuery {
        state: Some(state),
        ..DeliveryQuery::default()
    }
}

/// The places of the messages of a page.
fn places(page: &Page<MessageView>) -> Vec<u64> {
    page.items.iter().map(|message| message.seq).collect()
}

async fn head(fixture: &Fixture, place: usize) -> DeliveryRow {
    let stored = fixture.stored().await.remove(place);
    fixture.deliveries(&stored).await.remove(0)
}

#[tokio::test]
async fn a_message_is_shown_as_it_is_stored() {
    let fixture = Fixture::with_orders();
    let published = fixture
        .accept(json!({"body": {"data": {"amount": 1.0}}}))
        .await;
    let view = fixture
        .gateway
        .get_message(anyone(), published.id)
        .await
        .unwrap();
    assert_eq!(Some(view.seq), published.seq);
    assert_eq!(
        view.message.get().as_bytes(),
        &fixture.stored().await[0].document[..]
    );

    let publisher = key(&[Scope::Publish], None, None);
    let problem = fixture
        .gateway
        .get_message(&publisher, published.id)
        .await
        .unwrap_err();
    assert_eq!(
        (problem.kind.status(), problem.code),
        (403, "missing_scope")
    );
    let absent = MessageId::lowest_at(START);
    let problem = fixture
        .gateway
        .get_message(anyone(), absent)
        .await
        .unwrap_err();
    assert_eq!(
        (problem.kind.status(), problem.code),
        (404, "message_not_found")
    );
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page() {
    let fixture = Fixture::with_orders();
    for _ in 0..5 {
        fixture.accept(item(json!({}))).await;
    }
    let (mut seen, mut query) = (Vec::new(), messages(2));
    loop {
        let page = fixture
            .gateway
            .list_messages(anyone(), query.clone())
            .await
            .unwrap();
        seen.extend(places(&page));
        match page.cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => break,
        }
    }
    let expected: Vec<u64> = fixture
        .stored()
        .await
        .iter()
        .rev()
        .map(|row| row.num.0)
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn messages_are_filtered_by_topic_type_tag_and_time() {
    let mut fixture = Fixture::with_orders();
    fixture.topic("stock", json!({}));
    fixture.reload();
    for header in [
        json!({"type": "order.paid", "tags": ["vip"]}),
        json!({"type": "order.sent"}),
        json!({"type": "refund"}),
    ] {
        fixture.accept(item(header)).await;
        fixture.clock.advance(Duration::from_secs(10));
    }
    let other = read(&[item(json!({"type": "order.paid"}))]);
    fixture
        .gateway
        .publish(anyone(), "stock", other, PublishOptions::default())
        .await
        .unwrap();
    let nums: Vec<u64> = fixture.stored().await.iter().map(|row| row.num.0).collect();
    let at = |seconds| Some(START.plus(Duration::from_secs(seconds)));
    for (query, expected) in [
        (asking(|query| query.topic = Some("Stock".into())), vec![3]),
        (
            asking(|query| query.r#type = Some("order.*".into())),
            vec![3, 1, 0],
        ),
        (asking(|query| query.tag = Some("vip".into())), vec![0]),
        (asking(|query| query.tag = Some("VIP".into())), vec![]),
        (
            asking(|query| (query.since, query.until) = (at(10), at(30))),
            vec![2, 1],
        ),
        (asking(|query| query.follow = true), vec![0, 1, 2, 3]),
    ] {
        let page = fixture.gateway.list_messages(anyone(), query.clone()).await;
        let expected: Vec<u64> = expected
            .into_iter()
            .map(|place: usize| nums[place])
            .collect();
        assert_eq!(places(&page.unwrap()), expected, "{query:?}");
    }
}

#[tokio::test]
async fn a_list_of_messages_is_refused_by_what_is_wrong_with_its_query() {
    let fixture = Fixture::with_orders();
    for (query, code) in [
        (
            asking(|query| query.topic = Some("absent".into())),
            "topic_not_found",
        ),
        (
            asking(|query| query.r#type = Some(String::new())),
            "invalid_pattern",
        ),
        (
            asking(|query| query.cursor = Some("x".into())),
            "invalid_cursor",
        ),
        (asking(|query| query.limit = 501), "out_of_range"),
    ] {
        let listed = fixture.gateway.list_messages(anyone(), query).await;
        assert_eq!(listed.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn a_filtered_page_reads_a_bounded_number_of_rows() {
    let fixture = Fixture::with_orders();
    fixture.accept(item(json!({"tags": ["rare"]}))).await;
    let many = vec![item(json!({})); 1_000];
    for _ in 0..11 {
        fixture
            .publish(&many, PublishOptions::default())
            .await
            .unwrap();
    }
    let mut query = MessageQuery {
        tag: Some("rare".into()),
        ..messages(10)
    };
    let short = fixture
        .gateway
        .list_messages(anyone(), query.clone())
        .await
        .unwrap();
    assert!(short.items.is_empty());
    query.cursor = short.cursor;
    assert!(query.cursor.is_some());
    let rest = fixture
        .gateway
        .list_messages(anyone(), query)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.cursor), (1, None));
}

#[tokio::test]
async fn who_follows_a_topic_always_gets_a_cursor() {
    let fixture = Fixture::with_orders();
    let follower = key(&[Scope::Consume], Some(&["orders"]), None);
    let mut query = MessageQuery {
        topic: Some("orders".into()),
        follow: true,
        ..messages(10)
    };
    for round in 0..3_u64 {
        let page = fixture
            .gateway
            .list_messages(&follower, query.clone())
            .await
            .unwrap();
        assert_eq!(page.items.len(), usize::from(round > 0));
        query.cursor = Some(page.cursor.unwrap());
        fixture.accept(item(json!({}))).await;
    }
    query.follow = false;
    query.cursor = None;
    let listed = fixture.gateway.list_messages(&follower, query).await;
    assert_eq!(listed.unwrap_err().code, "missing_scope");
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes() {
    let fixture = Fixture::with_orders();
    for _ in 0..12 {
        fixture
            .accept(json!({"body": {"data": "x".repeat(1_000_000)}}))
            .await;
    }
    let first = fixture
        .gateway
        .list_messages(anyone(), messages(500))
        .await
        .unwrap();
    assert_eq!(first.items.len(), 9);
    let query = MessageQuery {
        cursor: first.cursor,
        ..messages(500)
    };
    let second = fixture
        .gateway
        .list_messages(anyone(), query)
        .await
        .unwrap();
    assert_eq!((second.items.len(), second.cursor), (3, None));
}

/// One message on `orders`, one on `stock`, one to `shop/a`, one to `shop/a` and `shop/b`.
async fn four_messages(fixture: &Fixture) -> [Published; 4] {
    let direct = async |to: Value| {
        let items = read(&[item(json!({"to": to}))]);
        let options = PublishOptions::default();
        let results = fixture
            .gateway
            .publish_direct(anyone(), items, options)
            .await;
        results.unwrap().remove(0).unwrap()
    };
    let options = PublishOptions::default();
    let on_stock = fixture
        .publish_as(anyone(), "stock", &[item(json!({}))], options)
        .await;
    [
        fixture.accept(item(json!({}))).await,
        on_stock.unwrap().remove(0).unwrap(),
        direct(json!(["shop/a"])).await,
        direct(json!(["shop/a", "shop/b"])).await,
    ]
}

#[tokio::test]
async fn a_key_sees_what_its_patterns_cover_and_404_for_the_rest() {
    let mut fixture = Fixture::with_orders();
    fixture.topic("stock", json!({}));
    fixture.reload();
    let published = four_messages(&fixture).await;
    let orders = key(&[Scope::Read], Some(&["orders"]), None);
    let a = key(&[Scope::Read], Some(&["orders"]), Some(&["shop/a"]));
    for (principal, visible) in [
        (anyone(), [true, true, true, true]),
        (&orders, [true, false, false, false]),
        (&a, [true, false, true, false]),
    ] {
        let listed = fixture.gateway.list_messages(principal, messages(0)).await;
        let listed: BTreeSet<u64> = places(&listed.unwrap()).into_iter().collect();
        for (published, visible) in published.iter().zip(visible) {
            let got = fixture.gateway.get_message(principal, published.id).await;
            let listed = listed.contains(&published.seq.unwrap());
            assert_eq!((got.is_ok(), listed), (visible, visible), "{published:?}");
        }
    }
    let query = asking(|query| query.topic = Some("stock".into()));
    let listed = fixture.gateway.list_messages(&orders, query).await;
    assert_eq!(listed.unwrap_err().code, "topic_not_found");
}

#[tokio::test]
async fn a_key_sees_the_deliveries_to_what_its_patterns_cover() {
    let mut fixture = Fixture::with_orders();
    fixture.topic("stock", json!({}));
    fixture.reload();
    let to_both = &four_messages(&fixture).await[3];
    let a = key(&[Scope::Read], Some(&["orders"]), Some(&["shop/a"]));
    let listed = fixture
        .gateway
        .list_deliveries(&a, DeliveryQuery::default())
        .await
        .unwrap();
    let mut targets: Vec<_> = listed
        .items
        .iter()
        .map(|view| view.target.as_deref())
        .collect();
    targets.sort_unstable();
    assert_eq!(targets, [None, Some("a"), Some("a")]);
    for (index, visible) in [(0, true), (1, false)] {
        let id = DeliveryId::new(Num(to_both.seq.unwrap()), index);
        assert_eq!(fixture.gateway.get_delivery(&a, id).await.is_ok(), visible);
    }
}

#[tokio::test]
async fn deliveries_are_listed_by_state_subscription_and_channel() {
    let mut fixture = Fixture::with_orders();
    fixture.channel("mail", json!({}));
    fixture.subscription("orders", "copy", json!({"channel": "mail"}));
    fixture.reload();
    for _ in 0..3 {
        fixture.accept(item(json!({"key": "k"}))).await;
    }
    fixture.settle(&head(&fixture, 0).await, Settle::Dead).await;
    let shop = || Some("shop".to_owned());
    let later = Some(START.plus(Duration::from_secs(1)));
    for (query, count) in [
        (DeliveryQuery::default(), 6),
        (in_state(ViewState::Dead), 1),
        (in_state(ViewState::Pending), 2),
        (in_state(ViewState::Waiting), 3),
        (in_state(ViewState::Held), 0),
        (
            deliveries(|query| query.subscription = Some("Orders/Copy".into())),
            3,
        ),
        (deliveries(|query| query.channel = shop()), 3),
        (
            deliveries(|query| (query.channel, query.state) = (shop(), Some(ViewState::Waiting))),
            1,
        ),
        (deliveries(|query| query.since = later), 0),
    ] {
        let page = fixture
            .gateway
            .list_deliveries(anyone(), query.clone())
            .await
            .unwrap();
        assert_eq!((page.items.len(), page.cursor), (count, None), "{query:?}");
    }
}

#[tokio::test]
async fn what_is_in_a_queue_is_shown_with_its_name() {
    let mut fixture = Fixture::with_orders();
    fixture.queue("Jobs", json!({}));
    fixture.reload();
    let to = item(json!({"to": ["queue:jobs"]}));
    let sent = fixture
        .gateway
        .publish_direct(anyone(), read(&[to]), PublishOptions::default());
    let published = sent.await.unwrap().remove(0).unwrap();
    fixture.accept(item(json!({}))).await;
    let query = deliveries(|query| query.queue = Some("JOBS".into()));
    let seen = async |principal: &Principal| {
        let page = fixture
            .gateway
            .list_deliveries(principal, query.clone())
            .await;
        page.unwrap().items
    };
    let views = seen(anyone()).await;
    assert_eq!(views.len(), 1);
    let view = &views[0];
    assert_eq!(
        (view.message_id, view.queue.as_deref(), view.state),
        (published.id, Some("Jobs"), ViewState::Pending)
    );
    assert_eq!((&view.channel, &view.subscription), (&None, &None));
    assert_eq!(view.next_attempt_at, Some(START));
    for (targets, count) in [(&["queue:jobs"], 1), (&["queue:bills"], 0)] {
        let reader = key(&[Scope::Read], None, Some(targets));
        assert_eq!(seen(&reader).await.len(), count, "{targets:?}");
    }
    let depth = "anser_queue_depth{topic=\"$direct\",channel=\"queue:Jobs\"} 1";
    let text = fixture.gateway.metrics_text();
    assert!(text.lines().any(|line| line == depth), "{text}");
}

#[tokio::test]
async fn a_list_of_deliveries_is_refused_by_what_is_wrong_with_its_query() {
    let mut fixture = Fixture::with_orders();
    fixture.queue("jobs", json!({}));
    fixture.subscription("orders", "work", json!({"queue": "jobs"}));
    fixture.reload();
    let of = |path: &str| deliveries(|query| query.subscription = Some(path.to_owned()));
    let name = |name: &str| Some(name.to_owned());
    for (query, code) in [
        (of("orders/work"), "invalid_field"),
        (
            deliveries(|query| query.queue = name("none")),
            "queue_not_found",
        ),
        (
            deliveries(|query| (query.queue, query.channel) = (name("jobs"), name("shop"))),
            "invalid_field",
        ),
        (of("orders"), "invalid_field"),
        (of("orders/none"), "subscription_not_found"),
        (of("none/copy"), "topic_not_found"),
        (
            deliveries(|query| query.channel = Some("none".into())),
            "channel_not_found",
        ),
        (
            deliveries(|query| query.cursor = Some("dlv_7".into())),
            "invalid_cursor",
        ),
    ] {
        let listed = fixture.gateway.list_deliveries(anyone(), query).await;
        assert_eq!(listed.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn pages_of_deliveries_hold_each_one_once() {
    let fixture = Fixture::with_orders();
    let to: Vec<String> = (0..6).map(|i| format!("shop/{i}")).collect();
    let published = fixture.accept(item(json!({"to": to}))).await;
    fixture.accept(item(json!({}))).await;

    let (mut seen, mut query) = (
        Vec::new(),
        DeliveryQuery {
            limit: 3,
            ..DeliveryQuery::default()
        },
    );
    loop {
        let page = fixture
            .gateway
            .list_deliveries(anyone(), query.clone())
            .await
            .unwrap();
        seen.extend(page.items.iter().map(|view| view.id));
        let Some(cursor) = page.cursor else { break };
        query.cursor = Some(cursor);
    }
    assert_eq!(seen.len(), 8);
    assert!(seen.is_sorted_by(|newer, older| newer > older));

    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = fixture
            .gateway
            .message_deliveries(anyone(), published.id, 3, cursor.as_deref())
            .await;
        let page = page.unwrap();
        seen.extend(page.items.iter().map(|view| view.id.index()));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn what_is_paused_or_disabled_shows_as_held() {
    let mut fixture = Fixture::with_orders();
    fixture.accept(item(json!({}))).await;
    let id = head(&fixture, 0).await.id;
    let shown = async |fixture: &Fixture| fixture.gateway.get_delivery(anyone(), id).await.unwrap();
    let view = shown(&fixture).await;
    assert_eq!(
        (view.state, view.next_attempt_at),
        (ViewState::Pending, Some(START))
    );
    assert_eq!(view.attempt_log, Some(Vec::new()));
    fixture.disable("shop");
    fixture.reload();
    let view = shown(&fixture).await;
    assert_eq!((view.state, view.next_attempt_at), (ViewState::Held, None));
    let listed = async |state| {
        let page = fixture
            .gateway
            .list_deliveries(anyone(), in_state(state))
            .await;
        page.unwrap().items.len()
    };
    assert_eq!(
        (
            listed(ViewState::Held).await,
            listed(ViewState::Pending).await
        ),
        (1, 0)
    );
    fixture
        .settle(&head(&fixture, 0).await, Settle::Delivered)
        .await;
    let view = shown(&fixture).await;
    assert_eq!(
        (view.state, view.ended_at),
        (ViewState::Delivered, Some(START))
    );
}

#[tokio::test]
async fn a_dead_delivery_is_opened_again_by_hand() {
    let fixture = Fixture::with_orders();
    fixture.accept(item(json!({"key": "k"}))).await;
    fixture.accept(item(json!({"key": "k"}))).await;
    let (first, second) = (head(&fixture, 0).await, head(&fixture, 1).await);
    let retry =
        async |principal: &Principal, id| fixture.gateway.retry_delivery(principal, id).await;
    assert_eq!(
        retry(anyone(), second.id).await.unwrap_err().code,
        "delivery_waiting"
    );
    fixture.settle(&first, Settle::Dead).await;
    let reader = key(&[Scope::Read], None, None);
    assert_eq!(
        retry(&reader, first.id).await.unwrap_err().code,
        "missing_scope"
    );
    fixture.clock.advance(Duration::from_secs(5));
    let view = retry(anyone(), first.id).await.unwrap();
    assert_eq!((view.state, view.ordered), (ViewState::Pending, false));
    assert_eq!(
        view.next_attempt_at,
        Some(START.plus(Duration::from_secs(5)))
    );
    let absent = DeliveryId::new(Num(99), 0);
    assert_eq!(
        retry(anyone(), absent).await.unwrap_err().code,
        "delivery_not_found"
    );
}

#[tokio::test]
async fn what_can_no_longer_arrive_is_not_opened_again() {
    let mut fixture = Fixture::with_orders();
    let expires_at = START.plus(Duration::from_secs(60));
    fixture
        .accept(item(json!({"expires_at": expires_at})))
        .await;
    let row = head(&fixture, 0).await;
    fixture.settle(&row, Settle::Dead).await;
    fixture.clock.advance(Duration::from_secs(60));
    let retry = async |fixture: &Fixture| {
        fixture
            .gateway
            .retry_delivery(anyone(), row.id)
            .await
            .unwrap_err()
    };
    assert_eq!(retry(&fixture).await.code, "message_expired");
    fixture.snapshot.subscriptions.clear();
    fixture.reload();
    let problem = retry(&fixture).await;
    assert_eq!(
        (problem.kind.status(), problem.code),
        (409, "destination_gone")
    );
    assert_eq!(head(&fixture, 0).await.state, DeliveryState::Dead);
}

#[tokio::test]
async fn a_scrape_shows_what_is_accepted_and_what_waits() {
    let fixture = Fixture::with_orders();
    fixture.accept(item(json!({}))).await;
    fixture.accept(item(json!({}))).await;
    let text = fixture.gateway.metrics_text();
    for line in [
        "anser_accepted_total{topic=\"orders\"} 2",
        "anser_queue_depth{topic=\"orders\",channel=\"shop\"} 2",
    ] {
        assert!(
            text.lines().any(|written| written == line),
            "{line}\n{text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent as a cursor: a page or a refusal, never a failure.
    #[test]
    fn a_made_up_cursor_is_refused(cursor in "[A-Za-z0-9_-]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let code = runtime.block_on(async {
            let fixture = Fixture::with_orders();
            let published = fixture.accept(item(json!({}))).await;
            let by_message = fixture.gateway.message_deliveries(anyone(), published.id, 5, Some(&cursor)).await;
            let query = DeliveryQuery { cursor: Some(cursor.clone()), ..DeliveryQuery::default() };
            let listed = fixture.gateway.list_deliveries(anyone(), query).await;
            (by_message.unwrap_err().code, listed.unwrap_err().code)
        });
        prop_assert_eq!(code, ("invalid_cursor", "invalid_cursor"));
    }
}
