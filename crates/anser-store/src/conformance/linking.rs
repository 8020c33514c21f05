//! Messages that are about earlier ones: found from those, in order, as long as they are there.

use anser_core::store::{Link, LinkKind, Linked, Retention, Store};

use super::fixture::{Maker, at, stored};

pub(super) async fn a_message_knows_what_is_about_it(store: &dyn Store) {
    let maker = Maker::new();
    let (target, _) = stored(store, maker.message(0, vec![])).await;
    let (other, _) = stored(store, maker.message(0, vec![])).await;
    let mut expected = Vec::new();
    for (seconds, kind) in [
        (1, LinkKind::Edited),
        (2, LinkKind::Edited),
        (3, LinkKind::Recalled),
    ] {
        let mut message = maker.message(seconds, vec![]);
        message.link = Some(Link { target, kind });
        let (id, time) = (message.id, message.time);
        let (num, _) = stored(store, message).await;
        expected.push(Linked {
            num,
            id,
            time,
            kind,
        });
    }
    assert_eq!(store.linked(target).await, Ok(expected));
    assert_eq!(store.linked(other).await, Ok(vec![]));
    let retention = Retention {
        messages_before: vec![],
        default_before: at(1),
        dead_before: at(0),
        attempts_before: at(0),
        now: at(4),
        limit: 1_000,
    };
    let swept = store.sweep(retention).await.expect("a sweep works");
    assert_eq!(swept.messages, 2);
    assert_eq!(store.linked(target).await, Ok(vec![]));
    // Nothing is remembered of one that is gone.
    let mut late = maker.message(5, vec![]);
    late.link = Some(Link {
        target,
        kind: LinkKind::Edited,
    });
    stored(store, late).await;
    assert_eq!(store.linked(target).await, Ok(vec![]));
}
