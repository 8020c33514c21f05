//! The dialect of Grafana's webhook contact point (grafana.com/docs/grafana/latest/alerting/configure-notifications/
//! manage-contact-points/integrations/webhook-notifier): Alertmanager's groups with links of Grafana's own. With an HMAC
//! configured it signs the body, in `X-Grafana-Alerting-Signature`, and with a timestamp header `TIMESTAMP:BODY`; the names
//! of both headers can be changed there, here they are the default and `X-Grafana-Alerting-Timestamp`. Without, the secret
//! goes in the Authorization header. Not checked against a running Grafana.

use std::time::Duration;

use super::alerts::{self, Sender};
use super::proof;
use super::told::{Fault, Posted, Told};

const SIGNATURE: &str = "x-grafana-alerting-signature";
const TIMESTAMP: &str = "x-grafana-alerting-timestamp";
/// How far a signature's time may be from now.
const SKEW_MAX: Duration = Duration::from_secs(300);

const GRAFANA: Sender = Sender {
    name: "grafana",
    links: &[
        ("panelURL", "Panel"),
        ("dashboardURL", "Dashboard"),
        ("generatorURL", "Rule"),
        ("silenceURL", "Silence"),
        ("imageURL", "Screenshot"),
    ],
    home: "Grafana",
};

/// The signature in the header, over the time, where there is one, and the body.
pub(super) fn prove(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let Some(signature) = posted.header(SIGNATURE) else {
        return proof::authorization(posted, secret);
    };
    let Some(time) = posted.header(TIMESTAMP) else {
        return proof::hmac_hex(secret.as_bytes(), posted.body, signature);
    };
    let signed = [time.as_bytes(), b":", posted.body].concat();
    proof::hmac_hex(secret.as_bytes(), &signed, signature)?;
    let seconds: i64 = time.parse().map_err(|_| Fault::Stale)?;
    proof::fresh(posted, seconds.saturating_mul(1_000), SKEW_MAX)
}

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    alerts::read(&GRAFANA, posted)
}
