//! Uploads: requests whose body is streamed. They have no time limit over all but a generous one, and are given up when
//! they stand still. Must not know what the body is made of.

use std::pin::pin;
use std::time::Duration;

use anser_core::channel::{Exchange, Report, SendError, SendErrorKind};
use http::{HeaderMap, Method};
use url::Url;

use super::Sender;
use super::body::{BodyStream, Outbound, Progress, Streamed};
use super::exchange;
use super::trace::Trace;

/// How often within the longest standstill progress is looked for.
const LOOKS: u32 = 16;

/// A request with a body that is read while it is sent.
pub struct Upload {
    /// Method.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// Headers; those of the framing are the sender's.
    pub headers: HeaderMap,
    /// Bytes of the body, which are announced.
    pub length: u64,
    /// The body.
    pub body: BodyStream,
}

impl Sender {
    /// Sends one request with a streamed body, over a connection that nobody else uses meanwhile, and reads the answer.
    /// It is given up after `stall` without progress: no byte of the body taken by the connection, and none of an answer;
    /// and after `deadline` in any case. A body that is not as long as announced, or cannot be read, ends the connection
    /// before its last byte went out.
    ///
    /// The answer may come before the body is sent. Then the rest is not sent, and an answer that reports success is an
    /// error: nobody can have taken what was not sent.
    pub async fn send_upload(&self, upload: Upload, stall: Duration, deadline: Duration) -> Report {
        // Until there is a connection, all there is to wait for is one step forward.
        let mut trace = Trace::start(&*self.clock, stall.min(deadline));
        let (body, progress) = Streamed::new(upload.body, upload.length);
        trace.progress = Some(progress.clone());
        let body = Outbound::Streamed(Box::new(body));
        let request = exchange::outgoing(upload.method, upload.headers, body);
        let work = self.exchange(&upload.url, request, &mut trace);
        let exchange = match watched(work, &progress, stall, deadline).await {
            Ok(exchange) => judged(exchange, &progress),
            Err(why) => Err(trace.given_up(&why)),
        };
        trace.report(exchange)
    }
}

/// Waits for `work` as long as it makes progress. An error says for how long it did not.
async fn watched<T>(
    work: impl Future<Output = T>,
    progress: &Progress,
    stall: Duration,
    deadline: Duration,
) -> Result<T, String> {
    let mut work = pin!(work);
    let mut end = pin!(tokio::time::sleep(deadline));
    let (mut mark, mut quiet) = (progress.mark(), 0);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = &mut end => return Err(format!("{deadline:?} passed")),
            () = tokio::time::sleep(stall / LOOKS) => {}
        }
        if progress.mark() == mark {
            quiet += 1;
        } else {
            (mark, quiet) = (progress.mark(), 0);
        }
        if quiet >= LOOKS {
            return Err(format!("{stall:?} passed without progress"));
        }
    }
}

/// What an exchange means once it is known how far the body came.
fn judged(exchange: Exchange, progress: &Progress) -> Exchange {
    let refused = |response: &anser_core::channel::HttpResponse| !response.status.is_success();
    if progress.is_complete() || exchange.as_ref().is_ok_and(refused) {
        return exchange;
    }
    if let Some(why) = progress.fault() {
        return Err(SendError {
            kind: SendErrorKind::Reset,
            sent: true,
            detail: format!("the body could not be sent, and the connection was closed: {why}"),
        });
    }
    let response = exchange?;
    Err(SendError {
        kind: SendErrorKind::Protocol,
        sent: true,
        detail: format!(
            "answered {} before the body was sent, of which {} of {} bytes went out",
            response.status,
            progress.taken(),
            progress.length()
        ),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::stream;
    use tokio::time::{Instant, interval};

    use super::*;

    const STALL: Duration = Duration::from_secs(15);
    const ALL: Duration = Duration::from_secs(600);

    /// The time now, as the timers see it.
    async fn now() -> Instant {
        interval(STALL).tick().await
    }

    /// A body whose first `steps` bytes are taken one by one, 14 seconds apart.
    async fn after(steps: u64) -> (Duration, String) {
        let began = now().await;
        let bytes = stream::repeat_with(|| Ok(bytes::Bytes::from_static(b"x")));
        let (mut body, progress) = Streamed::new(Box::pin(bytes), u64::MAX);
        let work = async {
            let mut every = interval(Duration::from_secs(14));
            every.tick().await;
            for _ in 0..steps {
                every.tick().await;
                let frame = futures_util::future::poll_fn(|cx| body.poll_piece(cx));
                frame.now_or_never().unwrap().unwrap().unwrap();
            }
            std::future::pending::<()>().await;
        };
        let why = watched(work, &progress, STALL, ALL).await.unwrap_err();
        (now().await - began, why)
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_ends_an_upload_and_slowness_does_not() {
        for steps in [0, 1, 20] {
            let (took, why) = after(steps).await;
            assert!(why.starts_with("15s passed without progress"), "{why}");
            let still = took - Duration::from_secs(14) * u32::try_from(steps).unwrap();
            assert!(still >= STALL, "{steps}: {still:?}");
            assert!(still <= STALL + STALL / 8, "{steps}: {still:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_ends_in_any_case() {
        let (took, why) = after(u64::MAX).await;
        assert_eq!((took, why.as_str()), (ALL, "600s passed"));
    }
}
