//! What every wire does first: who is it, may they come in, and the opening of the session. One place, so that no wire lets
//! in whom another refuses. Must not frame anything.

use std::net::IpAddr;

use anser_core::live::{Acknowledgements, CloseReason, Closed, Hello};
use anser_core::{Problem, ProblemKind};
use anser_gateway::sessions::{Events, Identity, Opening, Session};
use http::request::Parts;

use super::Live;
use super::places::Place;
use crate::activity::Connected;
use crate::bearer::bearer;
use crate::guard;

/// A connection that has not said who it is, and what is known of it.
pub(crate) struct Caller {
    /// Its place, until it goes.
    pub(super) place: Place,
    /// Where it comes from.
    pub(super) address: IpAddr,
    /// Whether it may do without a key, in developer mode: a page of another site may not.
    keyless: Result<(), Problem>,
}

impl Caller {
    /// A connection that is no HTTP: no page of a browser makes one.
    ///
    /// # Errors
    /// 429 `too_many_connections`.
    pub(super) fn raw(live: &Live, address: IpAddr) -> Result<Self, Problem> {
        Ok(Self {
            place: live.places.take(address)?,
            address,
            keyless: Ok(()),
        })
    }

    /// The connection of a request that does not say who it is.
    ///
    /// # Errors
    /// 429 `too_many_connections`.
    pub(super) fn of_request(live: &Live, parts: &Parts) -> Result<Self, Problem> {
        let address = address(parts);
        Ok(Self::new(live, parts, live.places.take(address)?, address))
    }

    /// The connection of a request that says who it is: it is found out at once whether that is so.
    ///
    /// # Errors
    /// 429 `too_many_connections`.
    pub(super) fn of_hello(live: &Live, parts: &Parts) -> Result<Self, Problem> {
        let place = live.places.take_known()?;
        Ok(Self::new(live, parts, place, address(parts)))
    }

    fn new(live: &Live, parts: &Parts, place: Place, address: IpAddr) -> Self {
        Self {
            place,
            address,
            keyless: guard::check(parts, &live.options.trusted_hosts),
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// What `hello` breaks; 401 and 403 as the gateway says; in developer mode 403 for a page of another site.
    pub(super) fn identify(&self, live: &Live, hello: &Hello) -> Result<Identity, Problem> {
        hello.check()?;
        if hello.token.is_none() && live.gateway.options().dev {
            self.keyless.clone()?;
        }
        live.gateway
            .admit_live(hello.token.as_deref(), hello.user.clone())
    }

    /// Opens its session; from now on it is known who it is.
    ///
    /// # Errors
    /// As [`Caller::identify`], and as the gateway opens sessions.
    pub(super) async fn open(
        &mut self,
        live: &Live,
        hello: Hello,
        transport: &'static str,
        acks: Acknowledgements,
    ) -> Result<(Session, Events), Problem> {
        let identity = self.identify(live, &hello)?;
        let opening = Opening {
            identity,
            transport,
            peer: Some(self.address.to_string()),
            resource: hello.resource,
            after: hello.after,
            presence: hello.presence.unwrap_or_default(),
            acks: hello.acks.unwrap_or(acks),
            questions: hello.questions,
        };
        let opened = live.gateway.open_session(opening).await?;
        opened.0.recheck();
        self.place.known();
        Ok(opened)
    }
}

/// Where a request comes from.
fn address(parts: &Parts) -> IpAddr {
    let connected = parts.extensions.get::<Connected>();
    let unspecified = IpAddr::from([0, 0, 0, 0]);
    connected.map_or(unspecified, |connected| connected.peer)
}

/// The key or token of a request: its `Authorization` header, or else its parameter `token`.
///
/// # Errors
/// 401 `malformed_authorization`.
pub(super) fn credential(
    parts: &Parts,
    parameter: Option<String>,
) -> Result<Option<String>, Problem> {
    Ok(bearer(parts)?.map(str::to_owned).or(parameter))
}

/// The last event of a connection that got no session.
pub(super) fn refusal(problem: &Problem) -> Closed {
    let reason = match problem.kind {
        ProblemKind::Unavailable => CloseReason::ServerStopping,
        ProblemKind::Malformed | ProblemKind::TooLarge | ProblemKind::Timeout => {
            CloseReason::Malformed
        }
        _ => CloseReason::Refused,
    };
    Closed {
        reason,
        detail: Some(problem.to_string()),
    }
}
