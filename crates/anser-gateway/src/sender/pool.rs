//! The connections that lie idle or are shared, by endpoint. Holds and hands out; neither connects nor sends. Its lock
//! is never held while a connection is dropped, which closes a socket.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use url::{Position, Url};

use super::exchange::{Connection, Http1, Http2};

/// How often expired connections are looked for while attempts are made.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// At the limit of open connections this part of the idle ones makes room, so that not every attempt must look for one.
const MAKE_ROOM_SHARE: usize = 16;

/// What tells endpoints apart: scheme, host and port of `url`, which the URL parser has normalised. Borrowed unless the
/// URL names a user.
pub(super) fn origin(url: &Url) -> Cow<'_, str> {
    if url.username().is_empty() && url.password().is_none() {
        Cow::Borrowed(&url[..Position::BeforePath])
    } else {
        let authority = &url[Position::BeforeHost..Position::BeforePath];
        Cow::Owned(format!("{}://{authority}", url.scheme()))
    }
}

pub(super) struct Pool {
    idle_per_endpoint_max: usize,
    idle_timeout: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    endpoints: HashMap<Box<str>, Endpoint>,
    swept: Duration,
}

#[derive(Default)]
struct Endpoint {
    /// With the time since when; the longest idle first.
    idle: Vec<(Duration, Box<Http1>)>,
    /// With the time of its last use.
    shared: Option<(Duration, Http2)>,
}

/// Connections taken out under the lock, to be dropped after it.
#[derive(Default)]
struct Discarded {
    idle: Vec<(Duration, Box<Http1>)>,
    shared: Vec<(Duration, Http2)>,
}

impl Endpoint {
    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_none()
    }

    /// Moves what was last used at `limit` or before.
    fn discard_until(&mut self, limit: Duration, to: &mut Discarded) {
        let count = self.idle.partition_point(|(since, _)| *since <= limit);
        to.idle.extend(self.idle.drain(..count));
        if let Some((_, two)) = self
            .shared
            .take_if(|(used, two)| *used <= limit || two.is_closed())
        {
            to.shared.push((limit, two));
        }
    }
}

impl Pool {
    pub(super) fn new(idle_per_endpoint_max: usize, idle_timeout: Duration) -> Self {
        Self {
            idle_per_endpoint_max,
            idle_timeout,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared connection unless one is wanted `alone`, or the one that was used last: it is the likeliest to be still
    /// open.
    pub(super) fn take(&self, origin: &str, alone: bool, now: Duration) -> Option<Connection> {
        let mut discarded = Discarded::default();
        let mut inner = self.lock();
        let endpoint = inner.endpoints.get_mut(origin)?;
        let limit = now.checked_sub(self.idle_timeout);
        if let Some((used, two)) = &mut endpoint.shared
            && !alone
        {
            if !two.is_closed() && limit.is_none_or(|limit| *used > limit) {
                *used = now;
                return Some(Connection::Two(two.clone()));
            }
            discarded.shared.extend(endpoint.shared.take());
        }
        let (since, one) = endpoint.idle.pop()?;
        if limit.is_none_or(|limit| since > limit) {
            return Some(Connection::One(one));
        }
        // The youngest is too old, so all are.
        discarded.idle.push((since, one));
        discarded.idle.append(&mut endpoint.idle);
        drop(inner);
        None
    }

    /// Keeps a connection for the next attempt.
    pub(super) fn put(&self, origin: &str, one: Box<Http1>, now: Duration) {
        let mut inner = self.lock();
        let discarded = self.sweep_if_due(&mut inner, now);
        let endpoint = entry(&mut inner, origin);
        let surplus = if endpoint.idle.len() < self.idle_per_endpoint_max {
            endpoint.idle.push((now, one));
            None
        } else {
            Some(one)
        };
        drop(inner);
        drop((surplus, discarded));
    }

    /// Lets others use an HTTP/2 connection. The endpoint's own, if it has a live one, stays.
    pub(super) fn share(&self, origin: &str, two: &Http2, now: Duration) {
        let mut inner = self.lock();
        let discarded = self.sweep_if_due(&mut inner, now);
        let endpoint = entry(&mut inner, origin);
        let dead = endpoint.shared.take_if(|(_, other)| other.is_closed());
        match &mut endpoint.shared {
            Some((used, _)) => *used = now,
            None => endpoint.shared = Some((now, two.clone())),
        }
        drop(inner);
        drop((dead, discarded));
    }

    /// No further attempt gets the shared connection with this number; those that use it go on.
    pub(super) fn forget(&self, origin: &str, number: u64) {
        let mut inner = self.lock();
        let gone = inner
            .endpoints
            .get_mut(origin)
            .and_then(|endpoint| endpoint.shared.take_if(|(_, two)| two.number() == number));
        drop(inner);
        drop(gone);
    }

    pub(super) fn clear(&self) {
        let endpoints = std::mem::take(&mut self.lock().endpoints);
        drop(endpoints);
    }

    pub(super) fn close_expired(&self, now: Duration) {
        let discarded = self.sweep(&mut self.lock(), now);
        drop(discarded);
    }

    /// Closes the part of the connections that lay idle for the longest, at least one.
    pub(super) fn close_longest_idle(&self) {
        let mut discarded = Discarded::default();
        let mut inner = self.lock();
        let mut times: Vec<Duration> = Vec::new();
        for endpoint in inner.endpoints.values() {
            times.extend(endpoint.idle.iter().map(|(since, _)| *since));
            times.extend(endpoint.shared.iter().map(|(used, _)| *used));
        }
        if !times.is_empty() {
            let index = times.len() / MAKE_ROOM_SHARE;
            let (_, limit, _) = times.select_nth_unstable(index);
            discard_until(&mut inner, *limit, &mut discarded);
        }
        drop(inner);
        drop(discarded);
    }

    fn sweep_if_due(&self, inner: &mut Inner, now: Duration) -> Discarded {
        if now.saturating_sub(inner.swept) < SWEEP_INTERVAL {
            return Discarded::default();
        }
        self.sweep(inner, now)
    }

    fn sweep(&self, inner: &mut Inner, now: Duration) -> Discarded {
        let mut discarded = Discarded::default();
        inner.swept = now;
        if let Some(limit) = now.checked_sub(self.idle_timeout) {
            discard_until(inner, limit, &mut discarded);
        }
        discarded
    }
}

fn entry<'a>(inner: &'a mut Inner, origin: &str) -> &'a mut Endpoint {
    // Looked up twice rather than with `entry`, which wants an owned key although it is nearly always there.
    if !inner.endpoints.contains_key(origin) {
        inner.endpoints.insert(origin.into(), Endpoint::default());
    }
    inner
        .endpoints
        .get_mut(origin)
        .expect("it was inserted above if it was not there")
}

fn discard_until(inner: &mut Inner, limit: Duration, to: &mut Discarded) {
    inner.endpoints.retain(|_, endpoint| {
        endpoint.discard_until(limit, to);
        !endpoint.is_empty()
    });
}
