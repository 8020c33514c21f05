//! What platforms call messages: written with the message or with what sent a copy of it, gone with it.

use anser_core::store::{
    Alias, AliasKey, AliasKind, Known, Retention, Settle, Settled, Settlement, Store,
};

use super::fixture::{Maker, at, settlement, stored};

const NAME: AliasKey = AliasKey([7; 16]);
const OTHER: AliasKey = AliasKey([8; 16]);

fn named(key: AliasKey, kind: AliasKind) -> Vec<Alias> {
    vec![Alias { key, kind }]
}

pub(super) async fn a_message_is_known_by_its_names(store: &dyn Store) {
    let maker = Maker::new();
    let mut expected = Vec::new();
    for (seconds, kind) in [
        (0, AliasKind::Original),
        (1, AliasKind::Edited),
        (2, AliasKind::Recalled),
    ] {
        let mut message = maker.message(seconds, vec![]);
        message.known_as = named(NAME, kind);
        let again = message.clone();
        let (num, _) = stored(store, message).await;
        expected.push(Known { num, kind });
        // A repeat is the same message.
        let append = anser_core::store::Append {
            messages: vec![again],
            atomic: false,
        };
        store.append(append).await.expect("a repeat works");
    }
    assert_eq!(store.known_as(NAME).await, Ok(expected.clone()));
    assert_eq!(store.known_as(OTHER).await, Ok(vec![]));
    let retention = Retention {
        messages_before: vec![],
        default_before: at(1),
        dead_before: at(0),
        attempts_before: at(0),
        now: at(4),
        limit: 1_000,
    };
    store.sweep(retention).await.expect("a sweep works");
    assert_eq!(store.known_as(NAME).await, Ok(expected[1..].to_vec()));
}

pub(super) async fn a_name_comes_with_the_settlement(store: &dyn Store) {
    let maker = Maker::new();
    let row = maker.one(store, 0, None).await;
    let known_as = |keys: &[AliasKey], settlement| Settlement {
        known_as: keys.to_vec(),
        ..settlement
    };
    let delivered = known_as(&[NAME, OTHER, NAME], settlement(&row, Settle::Delivered, 1));
    let stale = known_as(&[AliasKey([9; 16])], settlement(&row, Settle::Dead, 2));
    let settled = store.settle(vec![delivered, stale]).await;
    let settled = settled.expect("settling works");
    assert!(matches!(settled[0], Settled::Done { .. }));
    assert_eq!(settled[1], Settled::Fenced);
    let copy = vec![Known {
        num: row.id.num(),
        kind: AliasKind::Copy,
    }];
    assert_eq!(store.known_as(NAME).await, Ok(copy.clone()));
    assert_eq!(store.known_as(OTHER).await, Ok(copy));
    assert_eq!(store.known_as(AliasKey([9; 16])).await, Ok(vec![]));
}
