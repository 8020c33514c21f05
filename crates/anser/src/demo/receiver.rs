//! The receivers of the demo: small HTTP servers, as anyone would write them, that check the signature of every request.
//! Their troubles are real: an answer 503, an answer too late, a port where nobody listens.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::port::{Port, Script, WAREHOUSE_HEALTHY, WAREHOUSE_SILENT, WAREHOUSE_TIMEOUT};
use super::tally::{Arrival, Tally};

/// Bytes of the signing secret.
const SECRET_BYTES: usize = 32;
/// A signature's time may be so far from the receiver's (Standard Webhooks recommends five minutes).
const CLOCK_DIFFERENCE_MAX_SECONDS: i64 = 300;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The receivers, with their ports taken.
pub(crate) struct Receivers {
    shared: Arc<Shared>,
    secret: [u8; SECRET_BYTES],
    open: TcpListener,
    open_address: SocketAddr,
    /// Bound, but nobody listens: connections are refused, and nobody else can take the port.
    closed: TcpSocket,
    closed_address: SocketAddr,
}

struct Shared {
    tally: Arc<Tally>,
    script: Script,
    key: hmac::Key,
    /// When the warehouse's trouble began.
    trouble: OnceLock<Duration>,
    silent: AtomicU64,
}

/// What a message says.
#[derive(serde::Deserialize)]
struct Order {
    number: u64,
    order: String,
}

impl Receivers {
    /// Takes free ports on loopback. Requests are answered once they are open.
    pub(crate) async fn new(script: Script, tally: Arc<Tally>) -> anyhow::Result<Self> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let ports = async {
            let open = TcpListener::bind(free).await?;
            let closed = TcpSocket::new_v4()?;
            closed.bind(free)?;
            Ok::<_, std::io::Error>((open.local_addr()?, open, closed.local_addr()?, closed))
        };
        let (open_address, open, closed_address, closed) =
            ports.await.context("cannot take a free port on loopback")?;
        let mut secret = [0; SECRET_BYTES];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| anyhow::anyhow!("no randomness"))?;
        let shared = Arc::new(Shared {
            tally,
            script,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            trouble: OnceLock::new(),
            silent: AtomicU64::new(0),
        });
        Ok(Self {
            shared,
            secret,
            open,
            open_address,
            closed,
            closed_address,
        })
    }

    /// The signing secret, as a channel is given it.
    pub(crate) fn secret(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.secret))
    }

    /// Where a receiver's webhook goes.
    pub(crate) fn url(&self, port: Port) -> String {
        let address = match port {
            Port::Billing | Port::Warehouse => self.open_address,
            Port::Audit => self.closed_address,
        };
        format!("http://{address}/{}", port.name())
    }

    /// Begins to answer: two receivers at once, the third after its trouble.
    pub(crate) fn open(self, tasks: &mut JoinSet<()>) {
        let app = Router::new()
            .route("/billing", post(billing))
            .route("/warehouse", post(warehouse))
            .route("/audit", post(audit))
            .with_state(Arc::clone(&self.shared));
        tasks.spawn(serve(self.open, app.clone()));
        let trouble = self.shared.script.trouble;
        let closed = self.closed;
        tasks.spawn(async move {
            tokio::time::sleep(trouble).await;
            match closed.listen(BACKLOG) {
                Ok(listener) => serve(listener, app).await,
                // Then its deliveries stay missing, and the verdict says so.
                Err(error) => tracing::error!(%error, "the audit receiver cannot listen"),
            }
        });
    }
}

async fn serve(listener: TcpListener, app: Router) {
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "a receiver of the demo broke off");
    }
}

async fn billing(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    shared.take(Port::Billing, &headers, &body)
}

async fn audit(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    shared.take(Port::Audit, &headers, &body)
}

async fn warehouse(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if !shared.in_trouble() {
        return shared.take(Port::Warehouse, &headers, &body);
    }
    if shared.silent.fetch_add(1, Ordering::Relaxed) < WAREHOUSE_SILENT {
        let taken = shared.take(Port::Warehouse, &headers, &body);
        // By then the gateway has given up waiting, and cannot know that the message was taken.
        tokio::time::sleep(WAREHOUSE_TIMEOUT * 3 / 2).await;
        return taken;
    }
    shared.tally.turned_away(Port::Warehouse);
    StatusCode::SERVICE_UNAVAILABLE
}

impl Shared {
    fn in_trouble(&self) -> bool {
        if self.tally.received(Port::Warehouse) < WAREHOUSE_HEALTHY {
            return false;
        }
        let now = self.tally.elapsed();
        now < *self.trouble.get_or_init(|| now) + self.script.trouble
    }

    /// Checks and counts a message. One that is not signed as agreed is turned away for good.
    fn take(&self, port: Port, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let order: Option<Order> = serde_json::from_slice(body).ok();
        let signed = is_signed(&self.key, headers, body, self.tally.unix_seconds());
        let (true, Some(order)) = (signed, order) else {
            self.tally.unsigned(port);
            return StatusCode::UNAUTHORIZED;
        };
        let arrival = Arrival {
            number: order.number,
            key: &order.order,
            marked: headers.contains_key("anser-possible-duplicate"),
        };
        self.tally.arrived(port, &arrival);
        StatusCode::NO_CONTENT
    }
}

/// Standard Webhooks: one of the signatures is the HMAC-SHA256 of `id.timestamp.body`, and the time is about now.
fn is_signed(key: &hmac::Key, headers: &HeaderMap, body: &[u8], now: i64) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(time), Some(signatures)) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    ) else {
        return false;
    };
    let recent = time
        .parse::<i64>()
        .is_ok_and(|time| (now - time).abs() <= CLOCK_DIFFERENCE_MAX_SECONDS);
    let mut signed = format!("{id}.{time}.").into_bytes();
    signed.extend_from_slice(body);
    let valid = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|signature| STANDARD.decode(signature).ok())
        .any(|signature| hmac::verify(key, &signed, &signature).is_ok());
    recent && valid
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the Standard Webhooks reference implementations' own example.
    #[test]
    fn a_signature_counts_only_as_a_whole() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let headers = |signature: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                "webhook-id",
                "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap(),
            );
            headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
            headers.insert("webhook-signature", signature.parse().unwrap());
            headers
        };
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let body = br#"{"test": 2432232314}"#;
        let judge = |signature: &str, now: i64| is_signed(&key, &headers(signature), body, now);
        assert!(judge(right, 1_614_265_330));
        assert!(judge(&format!("v1a,xyz v1,AAAA {right}"), 1_614_265_330));
        assert!(!judge(right, 1_614_265_330 + 301));
        assert!(!judge("v1,AAAA", 1_614_265_330));
        assert!(!is_signed(&key, &headers(right), b"{}", 1_614_265_330));
        assert!(!is_signed(&key, &HeaderMap::new(), body, 1_614_265_330));
    }
}
