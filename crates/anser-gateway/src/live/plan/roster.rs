//! Who may see whose presence (RFC 6121 §3), as the store has it: for each pair an edge from the one who sees, or asks to,
//! to the one who is seen. Small enough to be held whole.

use std::collections::{BTreeMap, HashMap};

use anser_core::name::UserId;

/// Users that one user may see or ask to see, and by whom one may be seen or asked.
pub const CONTACTS_MAX: usize = 1_000;
/// Pairs in all.
pub const ROSTER_MAX: usize = 1_000_000;

/// How far it has come between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The one asked, the other has not answered.
    Asked,
    /// The other agreed.
    Approved,
}

/// Every edge.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By who sees.
    to: HashMap<UserId, BTreeMap<UserId, Edge>>,
    /// By who is seen.
    from: HashMap<UserId, BTreeMap<UserId, Edge>>,
    count: usize,
}

impl Roster {
    /// How it stands between the one who sees and the one who is seen.
    pub(super) fn edge(&self, watcher: &UserId, watched: &UserId) -> Option<Edge> {
        self.to.get(watcher)?.get(watched).copied()
    }

    /// Sets how it stands; `None` removes it.
    pub(super) fn set(&mut self, watcher: &UserId, watched: &UserId, edge: Option<Edge>) {
        if self.edge(watcher, watched).is_some() {
            self.count -= 1;
        }
        if edge.is_some() {
            self.count += 1;
        }
        put(&mut self.to, watcher, watched, edge);
        put(&mut self.from, watched, watcher, edge);
    }

    /// Whether another edge fits in.
    pub(super) fn has_room(&self, watcher: &UserId, watched: &UserId) -> bool {
        let few = |edges: Option<&BTreeMap<UserId, Edge>>| {
            edges.is_none_or(|edges| edges.len() < CONTACTS_MAX)
        };
        self.count < ROSTER_MAX && few(self.to.get(watcher)) && few(self.from.get(watched))
    }

    /// Who sees the user, or asks to.
    pub(super) fn watchers(&self, user: &UserId, how: Edge) -> Vec<UserId> {
        those(self.from.get(user), how)
    }

    /// Whom the user sees, or asks to see.
    pub(super) fn watched(&self, user: &UserId, how: Edge) -> Vec<UserId> {
        those(self.to.get(user), how)
    }

    /// Everybody with an edge to or from the user, in order.
    pub(super) fn others(&self, user: &UserId) -> Vec<UserId> {
        let both = [self.to.get(user), self.from.get(user)];
        let mut others: Vec<UserId> = both
            .into_iter()
            .flatten()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect();
        others.sort_unstable();
        others.dedup();
        others
    }
}

fn those(edges: Option<&BTreeMap<UserId, Edge>>, how: Edge) -> Vec<UserId> {
    let edges = edges.into_iter().flatten();
    edges
        .filter(|(_, edge)| **edge == how)
        .map(|(user, _)| user.clone())
        .collect()
}

fn put(
    edges: &mut HashMap<UserId, BTreeMap<UserId, Edge>>,
    one: &UserId,
    other: &UserId,
    edge: Option<Edge>,
) {
    match edge {
        Some(edge) => {
            edges
                .entry(one.clone())
                .or_default()
                .insert(other.clone(), edge);
        }
        None => {
            if let Some(of_one) = edges.get_mut(one) {
                of_one.remove(other);
                if of_one.is_empty() {
                    edges.remove(one);
                }
            }
        }
    }
}
