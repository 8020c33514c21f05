//! How a connection comes in. The library keeps the parts of the request that began a connection to its end, so these are made
//! small: copies of what the library looks at, and not what shares its memory with the buffer that the whole request was read
//! into. With them goes the connection's place. Must not know who it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::{Problem, ProblemKind};
use axum::body::Body;
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_KEY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Uri};
use hyper::upgrade::OnUpgrade;
use url::form_urlencoded;

use crate::bearer::bearer;
use crate::live::Live;
use crate::live::door::Caller;
use crate::live::places::Place;

/// A connection's way in. It keeps its place until the connection's end, whatever becomes of its session.
#[derive(Clone)]
pub(super) struct Entrance(Arc<Mutex<Entered>>);

/// How far in a connection is.
enum Entered {
    /// It has not said who it is.
    Not(Box<Coming>),
    /// It is being seen who it is.
    Opening,
    /// It had its session.
    Yes { _place: Place },
}

/// A connection that has not said who it is.
pub(super) struct Coming {
    pub(super) caller: Caller,
    /// The key or token of the request that it began with.
    pub(super) bearer: Result<Option<String>, Problem>,
}

impl Entrance {
    fn entered(&self) -> MutexGuard<'_, Entered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who comes in, when the connection had no session yet; to be given back.
    pub(super) fn try_enter(&self) -> Option<Box<Coming>> {
        let mut entered = self.entered();
        match std::mem::replace(&mut *entered, Entered::Opening) {
            Entered::Not(coming) => Some(coming),
            before => {
                *entered = before;
                None
            }
        }
    }

    /// It has a session.
    pub(super) fn let_in(&self, coming: Coming) {
        let _place = coming.caller.place;
        *self.entered() = Entered::Yes { _place };
    }

    /// It got none, and may try again.
    pub(super) fn turn_away(&self, coming: Box<Coming>) {
        *self.entered() = Entered::Not(coming);
    }
}

/// Takes a place for a connection that begins, and makes its request small.
///
/// # Errors
/// 429 `too_many_connections`.
pub(super) fn enter(live: &Live, request: Request<Body>) -> Result<Request<Body>, Problem> {
    let query = request.uri().query().unwrap_or_default();
    // The number of the connection; absent when the request begins one.
    let begins = form_urlencoded::parse(query.as_bytes()).all(|(name, _)| name != "sid");
    let (parts, body) = request.into_parts();
    let entrance = if begins {
        let caller = Caller::of_request(live, &parts)?;
        let bearer = bearer(&parts).map(|key| key.map(str::to_owned));
        let entered = Entered::Not(Box::new(Coming { caller, bearer }));
        Some(Entrance(Arc::new(Mutex::new(entered))))
    } else {
        None
    };
    let mut request = Request::from_parts(lean(parts)?, body);
    if let Some(entrance) = entrance {
        request.extensions_mut().insert(entrance);
    }
    Ok(request)
}

/// Copies of what the library looks at.
fn lean(mut parts: Parts) -> Result<Parts, Problem> {
    let uri: Uri = parts.uri.to_string().parse().map_err(|error| {
        let detail = format!("the address of the request cannot be read: {error}");
        Problem::new(ProblemKind::Malformed, "malformed_address", detail)
    })?;
    let mut headers = HeaderMap::new();
    for name in [SEC_WEBSOCKET_KEY, CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name)
            && let Ok(copy) = HeaderValue::from_bytes(value.as_bytes())
        {
            headers.insert(name, copy);
        }
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    parts.uri = uri;
    parts.headers = headers;
    parts.extensions.clear();
    if let Some(upgrade) = upgrade {
        parts.extensions.insert(upgrade);
    }
    Ok(parts)
}
