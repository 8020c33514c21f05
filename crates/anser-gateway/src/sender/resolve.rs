//! Looking up names, behind a handle, so that tests and other resolvers can take its place. Does not judge addresses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Look-ups that run at a time. The system's resolver blocks a thread for as long as the name server is silent: without
/// a limit names that hang would take every thread the runtime has for blocking work.
pub const LOOKUPS_MAX: usize = 64;

/// Looks up the addresses of a name.
#[async_trait::async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, in the order in which they should be tried, each with `port`.
    ///
    /// # Errors
    /// When the name does not exist or nobody answers. An empty list means the same.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's resolver: `getaddrinfo`, with its hosts file, search list and order of addresses.
#[derive(Debug)]
pub struct SystemResolver {
    room: Arc<Semaphore>,
}

impl SystemResolver {
    /// A resolver that runs at most [`LOOKUPS_MAX`] look-ups at a time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait::async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let room = Arc::clone(&self.room);
        let place = room
            .acquire_owned()
            .await
            .map_err(|_| io::Error::other("the resolver is closed"))?;
        let host = host.to_owned();
        // Not `lookup_host`: the place must be held until the thread is free again, also when nobody waits any more.
        let looked_up = tokio::task::spawn_blocking(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            drop(place);
            found
        });
        match looked_up.await {
            Ok(found) => Ok(found?.collect()),
            Err(_) => Err(io::Error::other("the look-up was given up: shutting down")),
        }
    }
}
