//! Places for live connections: so many in all, so many that have not said who they are, so many of those from one address.
//! A place is given back when it is dropped. Must not know a wire.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::{Problem, ProblemKind};
use tokio::sync::Notify;

use super::{LIVE_CONNECTIONS_MAX, LIVE_HALF_OPEN_MAX, LIVE_HALF_OPEN_OF_ADDRESS_MAX};

/// The bits of an IPv6 address that tell networks apart: whoever has one address of a network of 64 bits has all.
const NETWORK_BITS: u32 = 64;

/// Who is connected.
#[derive(Debug, Default)]
pub(super) struct Places {
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
pub(super) struct Place {
    places: Arc<Places>,
    /// Until it is known who it is.
    half_open: Option<IpAddr>,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody is connected.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.taken().connections == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// A place for a connection from `address`, which has not said who it is.
    ///
    /// # Errors
    /// 429 `too_many_connections`.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Problem> {
        let address = network(address);
        let mut taken = self.taken();
        let of_address = taken.of_address.get(&address).copied().unwrap_or_default();
        if taken.connections >= LIVE_CONNECTIONS_MAX
            || taken.half_open >= LIVE_HALF_OPEN_MAX
            || of_address >= LIVE_HALF_OPEN_OF_ADDRESS_MAX
        {
            return Err(Problem::new(
                ProblemKind::TooMany,
                "too_many_connections",
                "too many connections are open that have not said who they are; try again later",
            ));
        }
        taken.connections += 1;
        taken.half_open += 1;
        taken.of_address.insert(address, of_address + 1);
        Ok(Place {
            places: Arc::clone(self),
            half_open: Some(address),
        })
    }
}

impl Place {
    /// It is known who it is.
    pub(super) fn known(&mut self) {
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
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = Arc::clone(&self.places);
        let mut taken = places.taken();
        self.leave(&mut taken);
        taken.connections -= 1;
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

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_some_places_and_leaves_the_others() {
        let places = Arc::new(Places::default());
        let one = address("2001:db8::1");
        let mut taken: Vec<Place> = (0..LIVE_HALF_OPEN_OF_ADDRESS_MAX)
            .map(|_| places.take(one).unwrap())
            .collect();
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
        let places = Arc::new(Places::default());
        let taken: Vec<Place> = (0..LIVE_HALF_OPEN_MAX)
            .map(|n| {
                let number = u32::try_from(n).unwrap();
                places.take(IpAddr::V4(number.into())).unwrap()
            })
            .collect();
        assert!(places.take(address("192.0.2.1")).is_err());
        drop(taken);
        places.take(address("192.0.2.1")).unwrap();
    }
}
