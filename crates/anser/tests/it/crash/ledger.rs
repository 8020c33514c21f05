//! The books of a crash test: what publishers were promised, what the receiver got, and whether the two agree.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::harness::Received;

/// One published item: which publisher, and its how-manieth. The same after every repeat.
pub(super) type Item = (usize, usize);

/// A request that the receiver got.
struct Receipt {
    round: usize,
    id: String,
    marked: bool,
}

/// Both books.
#[derive(Default)]
pub(super) struct Ledger {
    /// What was acknowledged, with the id that was told.
    acknowledged: HashMap<Item, String>,
    receipts: HashMap<Item, Vec<Receipt>>,
    /// First receipts of each ordering key, in order.
    first_by_key: HashMap<String, Vec<usize>>,
    /// The newest of each ordering key that came.
    newest_by_key: HashMap<String, Item>,
    /// Of which keys a duplicate came in which round.
    duplicates_by_round_and_key: HashSet<(usize, String)>,
    /// How many requests repeated an earlier one.
    pub(super) duplicates: usize,
}

impl Ledger {
    /// A publisher was told that its item is stored.
    pub(super) fn acknowledge(&mut self, item: Item, id: &Value) {
        let id = id
            .as_str()
            .unwrap_or_else(|| panic!("{item:?} was acknowledged without an id"))
            .to_owned();
        let before = self.acknowledged.insert(item, id);
        assert_eq!(before, None, "{item:?} was acknowledged twice");
    }

    /// How many items were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// The receiver got these, in order, until the end of `round`.
    pub(super) fn receive(&mut self, round: usize, requests: &[Received]) {
        for request in requests {
            self.receive_one(round, request);
        }
    }

    fn receive_one(&mut self, round: usize, request: &Received) {
        let message = request.json();
        let data = &message["body"]["data"];
        let number = |name: &str| data[name].as_u64().unwrap() as usize;
        let item = (number("publisher"), number("n"));
        let id = request.header("webhook-id").to_owned();
        let key = message["header"]["key"].as_str().map(str::to_owned);
        let marked = !request.header("anser-possible-duplicate").is_empty();
        let receipts = self.receipts.entry(item).or_default();
        let again = receipts.last().map(|before| before.round);
        receipts.push(Receipt { round, id, marked });
        match (again, key) {
            (None, Some(key)) => {
                self.first_by_key
                    .entry(key.clone())
                    .or_default()
                    .push(item.1);
                self.newest_by_key.insert(key, item);
            }
            (None, None) => {}
            (Some(before), key) => self.receive_again(item, before, round, key),
        }
    }

    /// A duplicate: of a lane it can only be the one that was under way when the process was killed, the newest.
    fn receive_again(&mut self, item: Item, before: usize, round: usize, key: Option<String>) {
        self.duplicates += 1;
        assert!(
            before < round,
            "{item:?} came twice in round {round}, without a crash between"
        );
        let Some(key) = key else { return };
        let newest = self.newest_by_key[&key];
        assert_eq!(
            newest, item,
            "a duplicate of {key} that was not the one in flight"
        );
        let only = self
            .duplicates_by_round_and_key
            .insert((round, key.clone()));
        assert!(
            only,
            "two duplicates of {key} in round {round}: a lane has one in flight"
        );
    }

    /// What was acknowledged and has not come.
    pub(super) fn missing(&self) -> Vec<Item> {
        self.acknowledged
            .keys()
            .filter(|item| !self.receipts.contains_key(item))
            .copied()
            .collect()
    }

    /// Everything that must hold at the end.
    pub(super) fn check(&self) {
        let missing = self.missing();
        assert!(
            missing.is_empty(),
            "{} acknowledged messages were lost: {missing:?}",
            missing.len()
        );
        for (item, receipts) in &self.receipts {
            let ids: BTreeSet<&str> = receipts.iter().map(|receipt| receipt.id.as_str()).collect();
            assert_eq!(
                ids.len(),
                1,
                "{item:?} was accepted more than once: {ids:?}"
            );
            let told = self.acknowledged.get(item);
            assert_eq!(
                told.map(String::as_str),
                ids.first().copied(),
                "{item:?} was told another id"
            );
            let unmarked = receipts
                .iter()
                .skip(1)
                .filter(|receipt| !receipt.marked)
                .count();
            assert_eq!(
                unmarked, 0,
                "{item:?} came again without anser-possible-duplicate"
            );
        }
        for (key, seen) in &self.first_by_key {
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            assert_eq!(*seen, sorted, "the order of {key} was not kept");
        }
    }

    /// That nothing came twice, and nothing was said to be a possible duplicate.
    pub(super) fn check_no_duplicates(&self) {
        for (item, receipts) in &self.receipts {
            assert_eq!(receipts.len(), 1, "{item:?} came more than once");
            assert!(
                !receipts[0].marked,
                "{item:?} was marked as a possible duplicate"
            );
        }
    }
}

/// A ledger that finds nothing would be worth nothing.
mod tests {
    use serde_json::json;

    use super::*;

    fn request(key: &str, n: usize, id: &str, marked: bool) -> Received {
        let body = json!({"header": {"key": key}, "body": {"data": {"publisher": 1, "n": n}}});
        let mut headers = vec![("webhook-id".to_owned(), id.to_owned())];
        if marked {
            headers.push(("anser-possible-duplicate".to_owned(), "restart".to_owned()));
        }
        Received {
            at: std::time::Duration::ZERO,
            connection: 0,
            method: "POST".to_owned(),
            path: "/hook".to_owned(),
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    fn told(count: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for n in 0..count {
            ledger.acknowledge((1, n), &json!(format!("m{n}")));
        }
        ledger
    }

    #[test]
    fn what_may_happen_is_taken() {
        let mut ledger = told(2);
        ledger.receive(0, &[request("k", 0, "m0", false)]);
        ledger.receive(
            1,
            &[request("k", 0, "m0", true), request("k", 1, "m1", true)],
        );
        ledger.check();
        assert_eq!(ledger.duplicates, 1);
    }

    #[test]
    #[should_panic(expected = "were lost")]
    fn a_lost_message_is_found() {
        let mut ledger = told(2);
        ledger.receive(0, &[request("k", 0, "m0", false)]);
        ledger.check();
    }

    #[test]
    #[should_panic(expected = "order of k")]
    fn a_wrong_order_is_found() {
        let mut ledger = told(2);
        ledger.receive(
            0,
            &[request("k", 1, "m1", false), request("k", 0, "m0", false)],
        );
        ledger.check();
    }

    #[test]
    #[should_panic(expected = "without anser-possible-duplicate")]
    fn an_unmarked_duplicate_is_found() {
        let mut ledger = told(1);
        ledger.receive(0, &[request("k", 0, "m0", false)]);
        ledger.receive(1, &[request("k", 0, "m0", false)]);
        ledger.check();
    }

    #[test]
    #[should_panic(expected = "accepted more than once")]
    fn a_message_accepted_twice_is_found() {
        let mut ledger = told(1);
        ledger.receive(0, &[request("k", 0, "m0", false)]);
        ledger.receive(1, &[request("k", 0, "other", true)]);
        ledger.check();
    }

    #[test]
    #[should_panic(expected = "not the one in flight")]
    fn a_duplicate_of_what_was_settled_is_found() {
        let mut ledger = told(2);
        ledger.receive(
            0,
            &[request("k", 0, "m0", false), request("k", 1, "m1", false)],
        );
        ledger.receive(1, &[request("k", 0, "m0", true)]);
    }
}
