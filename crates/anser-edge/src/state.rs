//! What every request is served with: the gateway, the settings, and the OpenAPI document once somebody asks for it.

use std::sync::{Arc, OnceLock};

use anser_gateway::Gateway;
use bytes::Bytes;

use crate::options::EdgeOptions;

/// What every request is served with.
pub(crate) struct Edge {
    /// The use cases.
    pub(crate) gateway: Arc<Gateway>,
    /// The settings.
    pub(crate) options: EdgeOptions,
    /// One change of topics, queues or subscriptions through the CMQ door at a time: its limits are counts, and a
    /// subscription is made of two resources.
    pub(crate) cmq_changes: tokio::sync::Mutex<()>,
    document: OnceLock<Bytes>,
    make_document: fn() -> Bytes,
}

impl Edge {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        options: EdgeOptions,
        make_document: fn() -> Bytes,
    ) -> Self {
        Self {
            gateway,
            options,
            cmq_changes: tokio::sync::Mutex::new(()),
            document: OnceLock::new(),
            make_document,
        }
    }

    /// The OpenAPI document. Made when it is first asked for: most runs never are.
    pub(crate) fn document(&self) -> Bytes {
        self.document.get_or_init(self.make_document).clone()
    }
}
