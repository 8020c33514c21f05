//! The dialect of Prometheus Alertmanager's webhook receiver, version 4 of its payload
//! (prometheus.io/docs/alerting/latest/configuration/#webhook_config); checked against a running Alertmanager. It signs
//! nothing, so where the robot has a secret it goes in `http_config.authorization.credentials` or as the password of
//! `basic_auth`. It sends a group again until it is answered with 2xx, but not after a 4xx.

use super::alerts::{self, Sender};
use super::told::{Fault, Posted, Told};

const ALERTMANAGER: Sender = Sender {
    name: "alertmanager",
    links: &[("generatorURL", "Source")],
    home: "Alertmanager",
};

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    alerts::read(&ALERTMANAGER, posted)
}
