//! One kept-alive HTTP/1.1 connection to the gateway: send bytes, read the answer. Must not retry: a failure is a result.

use crate::bench::frame::{self, Frame};
use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BUFFER_BYTES: usize = 16 * 1024;

/// A stream with what was read of it and not used yet.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    /// The last message's bytes, still at the front of the buffer.
    used: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        Self::new(stream)
    }

    /// Takes over a stream.
    pub(crate) fn new(stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(BUFFER_BYTES),
            used: 0,
        })
    }

    /// The next message, after the last one was dropped; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Message<'_>>> {
        self.buffer.advance(self.used);
        self.used = 0;
        loop {
            let frame = frame::read(&self.buffer)?;
            if let Some(frame) = frame
                && frame.bytes() <= self.buffer.len()
            {
                self.used = frame.bytes();
                return Ok(Some(Message {
                    bytes: &self.buffer[..frame.bytes()],
                    frame,
                }));
            }
            let missing = frame.map_or(BUFFER_BYTES, |frame| frame.bytes() - self.buffer.len());
            self.buffer.reserve(missing);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Message<'_>> {
        self.send(request).await?;
        self.next()
            .await?
            .context("the connection was closed without an answer")
    }

    /// Posts JSON and reads JSON; anything but 2xx is an error with the answer in it.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.exchange(request.as_bytes()).await?;
        let status = answer.status()?;
        if !(200..300).contains(&status) {
            bail!("POST {path}: {status} {}", answer.text());
        }
        serde_json::from_slice(answer.body()).with_context(|| format!("POST {path}: no JSON"))
    }
}

/// A request or an answer, as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    frame: Frame,
}

impl<'a> Message<'a> {
    /// The body.
    pub(crate) fn body(self) -> &'a [u8] {
        &self.bytes[self.frame.head..]
    }

    /// The body, for people.
    pub(crate) fn text(self) -> String {
        String::from_utf8_lossy(self.body()).into_owned()
    }

    /// The status of an answer.
    pub(crate) fn status(self) -> anyhow::Result<u16> {
        frame::status(self.bytes)
    }
}
