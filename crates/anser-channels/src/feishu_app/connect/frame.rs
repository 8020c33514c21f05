//! A frame of the long connection, in protobuf (`pbbp2.proto` of the platform's clients). Must not know what it is about.

use bytes::Bytes;
use prost::{DecodeError, Message};

/// A name with its value.
#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

/// A frame. It is of proto2, whose required fields are written even when they are 0.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Frame {
    #[prost(uint64, required, tag = "1")]
    seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    log_id: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<Header>,
    #[prost(string, optional, tag = "6")]
    payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    payload_type: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    payload: Option<Bytes>,
    #[prost(string, optional, tag = "9")]
    log_id_new: Option<String>,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// About the connection.
    Control,
    /// An event.
    Data,
}

impl Frame {
    /// A ping of a service.
    pub(super) fn ping(service: i32) -> Self {
        let mut frame = Self {
            service,
            ..Self::default()
        };
        frame.add_header("type", "ping");
        frame
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }

    /// As it is sent.
    pub(super) fn encoded(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// What it is for, if that is known.
    pub(super) const fn kind(&self) -> Option<Method> {
        match self.method {
            0 => Some(Method::Control),
            1 => Some(Method::Data),
            _ => None,
        }
    }

    /// The first header of that name.
    pub(super) fn header(&self, key: &str) -> Option<&str> {
        let found = self.headers.iter().find(|header| header.key == key);
        found.map(|header| header.value.as_str())
    }

    /// One header more.
    pub(super) fn add_header(&mut self, key: &str, value: impl Into<String>) {
        self.headers.push(Header {
            key: key.to_owned(),
            value: value.into(),
        });
    }

    /// The payload, which the frame has no more.
    pub(super) fn take_payload(&mut self) -> Bytes {
        self.payload.take().unwrap_or_default()
    }

    /// Gives it another payload.
    pub(super) fn set_payload(&mut self, payload: Bytes) {
        self.payload = Some(payload);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::kit::arrival::{hex, unhex};

    const VECTORS: &str = include_str!("../../../fixtures/inbound/vectors-cn.json");

    fn vector(id: &str) -> Value {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let mut vectors = vectors["vectors"].as_array().unwrap().iter();
        vectors.find(|vector| vector["id"] == id).unwrap().clone()
    }

    /// Fields 1 to 4 are there although most of them are 0.
    #[test]
    fn a_ping_is_that_of_the_platforms_own_client() {
        let vector = vector("feishu.ws.ping");
        let service = vector["inputs"]["service"].as_i64().unwrap();
        let frame = Frame::ping(i32::try_from(service).unwrap());
        assert_eq!(hex(&frame.encoded()), vector["expected"]["hex"]);
        assert_eq!(frame.kind(), Some(Method::Control));
    }

    #[test]
    fn data_is_read_and_written_as_by_the_platforms_own_client() {
        let vector = vector("feishu.ws.data");
        let bytes = unhex(vector["expected"]["hex"].as_str().unwrap()).unwrap();
        let mut frame = Frame::read(bytes.clone().into()).unwrap();
        assert_eq!(frame.encoded(), bytes);
        assert_eq!(frame.kind(), Some(Method::Data));
        assert_eq!((frame.seq_id, frame.log_id), (7, 11));
        for (key, value) in vector["inputs"]["headers"].as_object().unwrap() {
            assert_eq!(frame.header(key), value.as_str());
        }
        assert_eq!(frame.header("none"), None);
        assert_eq!(frame.take_payload(), r#"{"schema":"2.0"}"#);
        assert!(frame.payload().is_empty());
    }
}
