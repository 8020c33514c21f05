//! Places for connections: so many in all, so many that have not said yet who they are or what they want, so many of those
//! from one address. A place is given back when it is dropped. Must not know what is spoken on a connection.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::{Problem, ProblemKind};
use anser_gateway::metrics::ConnectionGauges;
use tokio::sync::Notify;

use crate::answer::NO_PLACE;

/// The bits of an IPv6 address that tell networks apart: whoever has one address of a network of 64 bits has all.
const NETWORK_BITS: u32 = 64;

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// For all connections.
    pub(crate) connections: usize,
    /// For those that have not said yet who they are or what they want.
    pub(crate) half_open: usize,
    /// The same, for those of one address (IPv6: of one network of 64 bits).
    pub(crate) half_open_of_address: usize,
}

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Places {
    room: Room,
    shown: Arc<ConnectionGauges>,
    taken: Mutex<Taken>,
    /// The last one has left.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    half_open: usize,
    of_address: HashMap<IpAddr, usize>,
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    /// Until it has said so.
    half_open: Option<IpAddr>,
}

impl Places {
    /// All are free; `shown` is told how many are taken.
    pub(crate) fn new(room: Room, shown: Arc<ConnectionGauges>) -> Arc<Self> {
        Arc::new(Self {
            room,
            shown,
            taken: Mutex::default(),
            emptied: Notify::new(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody is connected.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.taken().connections == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// A place for a connection from `address`, which has said nothing yet.
    ///
    /// # Errors
    /// 429 `too_many_connections`.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Problem> {
        let address = network(address);
        let mut taken = self.taken();
        let of_address = taken.of_address.get(&address).copied().unwrap_or_default();
        if taken.half_open >= self.room.half_open || of_address >= self.room.half_open_of_address {
            let detail =
                "too many connections are open that have not said who they are; try again later";
            return Err(self.refused(detail));
        }
        self.enter(&mut taken)?;
        taken.half_open += 1;
        taken.of_address.insert(address, of_address + 1);
        self.shown.are(taken.connections, taken.half_open);
        Ok(Place {
            places: Arc::clone(self),
            half_open: Some(address),
        })
    }

    /// A place for a connection that says who it is with its first word: it needs none of those for the half-open, so it comes
    /// in however many of them stand there.
    ///
    /// # Errors
    /// 429 `too_many_connections`.
    pub(crate) fn take_known(self: &Arc<Self>) -> Result<Place, Problem> {
        let mut taken = self.taken();
        self.enter(&mut taken)?;
        self.shown.are(taken.connections, taken.half_open);
        Ok(Place {
            places: Arc::clone(self),
            half_open: None,
        })
    }

    fn enter(&self, taken: &mut Taken) -> Result<(), Problem> {
        if taken.connections >= self.room.connections {
            let detail = "the server has no connection to spare; try again later";
            return Err(self.refused(detail));
        }
        taken.connections += 1;
        Ok(())
    }

    fn refused(&self, detail: &'static str) -> Problem {
        self.shown.refused();
        Problem::new(ProblemKind::TooMany, NO_PLACE, detail)
    }
}

impl Place {
    /// It has said who it is, or what it wants.
    pub(crate) fn known(&mut self) {
        let places = Arc::clone(&self.places);
        self.leave(&mut places.taken());
    }

    fn leave(&mut self, taken: &mut Taken) {
        let Some(address) = self.half_open.take() else {
            return;
        };
        taken.half_open -= 1;
        if let Some(of_address) = taken.of_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.of_address.remove(&address);
            }
        }
        let shown = &self.places.shown;
        shown.are(taken.connections, taken.half_open);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = Arc::clone(&self.places);
        let mut taken = places.taken();
        self.leave(&mut taken);
        taken.connections -= 1;
        places.shown.are(taken.connections, taken.half_open);
        if taken.connections == 0 {
            places.emptied.notify_waiters();
        }
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() & (u128::MAX << (u128::BITS - NETWORK_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ADDRESS: usize = 8;
    const HALF_OPEN: usize = 3 * OF_ADDRESS;

    fn places(connections: usize) -> Arc<Places> {
        let room = Room {
            connections,
            half_open: HALF_OPEN,
            half_open_of_address: OF_ADDRESS,
        };
        Places::new(room, Arc::default())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_some_places_and_leaves_the_others() {
        let places = places(100);
        let one = address("2001:db8::1");
        let mut taken: Vec<Place> = (0..OF_ADDRESS).map(|_| places.take(one).unwrap()).collect();
        let same_network = address("2001:db8::2");
        assert_eq!(
            places.take(same_network).unwrap_err().code,
            "too_many_connections"
        );
        let other = places.take(address("2001:db8:0:1::1")).unwrap();
        let mapped = places.take(address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(mapped.half_open, Some(address("192.0.2.1")));
        // Who has said who it is keeps its connection and frees the place of another.
        taken[0].known();
        drop(places.take(one).unwrap());
        drop((taken, other, mapped));
        let left = places.taken();
        assert_eq!((left.connections, left.half_open), (0, 0));
        assert!(left.of_address.is_empty());
    }

    #[test]
    fn all_addresses_together_have_a_limit_too() {
        let places = places(100);
        let taken: Vec<Place> = (0..HALF_OPEN)
            .map(|n| {
                let number = u32::try_from(n).unwrap();
                places.take(IpAddr::V4(number.into())).unwrap()
            })
            .collect();
        assert!(places.take(address("192.0.2.1")).is_err());
        // Who says who it is at once does not mind them.
        drop(places.take_known().unwrap());
        drop(taken);
        places.take(address("192.0.2.1")).unwrap();
    }

    #[test]
    fn who_has_said_who_it_is_counts_too() {
        let places = places(2);
        let mut both = [1, 2].map(|n| places.take(IpAddr::V4(n.into())).unwrap());
        both.iter_mut().for_each(Place::known);
        let refused = places.take(address("192.0.2.1")).unwrap_err();
        assert!(refused.detail.contains("no connection to spare"));
        assert_eq!(places.take_known().unwrap_err().detail, refused.detail);
        drop(both);
        places.take(address("192.0.2.1")).unwrap();
    }
}
