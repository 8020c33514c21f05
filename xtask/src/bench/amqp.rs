//! As much of AMQP 0-9-1 as a durable queue with confirms and acknowledgements takes (the protocol's specification, 2008,
//! sections 2.3 and 4.2; confirms are RabbitMQ's extension). By hand like `frame`, so that the harness costs little beside
//! the broker it measures. One channel a connection; anything unexpected is an error, never a guess.

use anyhow::{Context, bail};
use bytes::{Buf, BufMut, BytesMut};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BUFFER_BYTES: usize = 64 * 1024;
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xce;
/// Type, channel and length before a frame's payload.
const FRAME_LEAD: usize = 7;
const CHANNEL: u16 = 1;
/// The account every new RabbitMQ has, for loopback only.
const PLAIN_GUEST: &[u8] = b"\0guest\0guest";
/// The delivery-mode flag of a content header; the mode 2 is persistent.
const DELIVERY_MODE: u16 = 1 << 12;
const PERSISTENT: u8 = 2;
const CLASS_BASIC: u16 = 60;

/// Class and method ids, as they stand in a method frame.
mod id {
    pub(super) const CONNECTION_START: (u16, u16) = (10, 10);
    pub(super) const CONNECTION_START_OK: (u16, u16) = (10, 11);
    pub(super) const CONNECTION_TUNE: (u16, u16) = (10, 30);
    pub(super) const CONNECTION_TUNE_OK: (u16, u16) = (10, 31);
    pub(super) const CONNECTION_OPEN: (u16, u16) = (10, 40);
    pub(super) const CONNECTION_OPEN_OK: (u16, u16) = (10, 41);
    pub(super) const CHANNEL_OPEN: (u16, u16) = (20, 10);
    pub(super) const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
    pub(super) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
    pub(super) const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);
    pub(super) const QUEUE_DECLARE: (u16, u16) = (50, 10);
    pub(super) const QUEUE_DECLARE_OK: (u16, u16) = (50, 11);
    pub(super) const BASIC_QOS: (u16, u16) = (60, 10);
    pub(super) const BASIC_QOS_OK: (u16, u16) = (60, 11);
    pub(super) const BASIC_CONSUME: (u16, u16) = (60, 20);
    pub(super) const BASIC_CONSUME_OK: (u16, u16) = (60, 21);
    pub(super) const BASIC_PUBLISH: (u16, u16) = (60, 40);
    pub(super) const BASIC_DELIVER: (u16, u16) = (60, 60);
    pub(super) const BASIC_ACK: (u16, u16) = (60, 80);
    pub(super) const CONFIRM_SELECT: (u16, u16) = (85, 10);
    pub(super) const CONFIRM_SELECT_OK: (u16, u16) = (85, 11);
}

/// What the broker sends once everything is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// What was published with this number is on disk; with `multiple` also everything before.
    Confirmed { tag: u64, multiple: bool },
    /// A message begins; its body follows as one event or several.
    Delivered { tag: u64 },
    /// So many bytes of a body, see [`Channel::last_body`].
    Body { bytes: usize },
    /// Nothing a client has to care about.
    Other,
}

/// A connection with its one channel.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: TcpStream,
    read: BytesMut,
    /// The last frame's bytes, still at the front of what was read.
    used: usize,
    write: BytesMut,
}

impl Channel {
    /// Connects, logs in and opens the channel.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let mut channel = Self {
            stream,
            read: BytesMut::with_capacity(BUFFER_BYTES),
            used: 0,
            write: BytesMut::with_capacity(BUFFER_BYTES),
        };
        channel.write.put_slice(GREETING);
        channel.expect(id::CONNECTION_START).await?;
        channel.method(0, id::CONNECTION_START_OK, |arguments| {
            arguments.put_u32(0);
            short(arguments, "PLAIN");
            arguments.put_u32(PLAIN_GUEST.len() as u32);
            arguments.put_slice(PLAIN_GUEST);
            short(arguments, "en_US");
        });
        let limits = channel.expect(id::CONNECTION_TUNE).await?;
        channel.method(0, id::CONNECTION_TUNE_OK, |arguments| {
            // Its limits for channels and frames as they are, and no heartbeat.
            arguments.put_slice(limits.get(..6).unwrap_or(&[0; 6]));
            arguments.put_u16(0);
        });
        channel.method(0, id::CONNECTION_OPEN, |arguments| {
            short(arguments, "/");
            short(arguments, "");
            arguments.put_u8(0);
        });
        channel.expect(id::CONNECTION_OPEN_OK).await?;
        channel.method(CHANNEL, id::CHANNEL_OPEN, |arguments| short(arguments, ""));
        channel.expect(id::CHANNEL_OPEN_OK).await?;
        Ok(channel)
    }

    /// Makes sure that a durable queue is there; says how many messages wait in it.
    pub(crate) async fn declare(&mut self, queue: &str) -> anyhow::Result<u32> {
        const DURABLE: u8 = 2;
        self.method(CHANNEL, id::QUEUE_DECLARE, |arguments| {
            arguments.put_u16(0);
            short(arguments, queue);
            arguments.put_u8(DURABLE);
            arguments.put_u32(0);
        });
        let answer = self.expect(id::QUEUE_DECLARE_OK).await?;
        let name = answer.first().map_or(0, |length| usize::from(*length));
        let mut rest = answer.get(1 + name..).unwrap_or_default();
        Ok(rest.try_get_u32()?)
    }

    /// From now on the broker confirms what is published.
    pub(crate) async fn confirm(&mut self) -> anyhow::Result<()> {
        self.method(CHANNEL, id::CONFIRM_SELECT, |arguments| arguments.put_u8(0));
        self.expect(id::CONFIRM_SELECT_OK).await?;
        Ok(())
    }

    /// From now on the queue's messages come, at most `prefetch` that are not acknowledged.
    pub(crate) async fn consume(&mut self, queue: &str, prefetch: u16) -> anyhow::Result<()> {
        self.method(CHANNEL, id::BASIC_QOS, |arguments| {
            arguments.put_u32(0);
            arguments.put_u16(prefetch);
            arguments.put_u8(0);
        });
        self.expect(id::BASIC_QOS_OK).await?;
        self.method(CHANNEL, id::BASIC_CONSUME, |arguments| {
            arguments.put_u16(0);
            short(arguments, queue);
            short(arguments, "");
            arguments.put_u8(0);
            arguments.put_u32(0);
        });
        self.expect(id::BASIC_CONSUME_OK).await?;
        Ok(())
    }

    /// Writes a persistent message; it goes out with the next [`Channel::flush`].
    pub(crate) fn publish(&mut self, queue: &str, body: &[u8]) {
        self.method(CHANNEL, id::BASIC_PUBLISH, |arguments| {
            arguments.put_u16(0);
            short(arguments, "");
            short(arguments, queue);
            arguments.put_u8(0);
        });
        self.frame(HEADER, CHANNEL, |payload| {
            payload.put_u16(CLASS_BASIC);
            payload.put_u16(0);
            payload.put_u64(body.len() as u64);
            payload.put_u16(DELIVERY_MODE);
            payload.put_u8(PERSISTENT);
        });
        self.frame(BODY, CHANNEL, |payload| payload.put_slice(body));
    }

    /// Writes that a message is done with, and with `multiple` all before it; it goes out with the next flush.
    pub(crate) fn acknowledge(&mut self, tag: u64, multiple: bool) {
        self.method(CHANNEL, id::BASIC_ACK, |arguments| {
            arguments.put_u64(tag);
            arguments.put_u8(u8::from(multiple));
        });
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        self.stream.write_all_buf(&mut self.write).await?;
        Ok(())
    }

    /// Closes in good order: a broker that is just hung up on may forget the last acknowledgements.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        const REPLY_SUCCESS: u16 = 200;
        self.method(CHANNEL, id::CHANNEL_CLOSE, |arguments| {
            arguments.put_u16(REPLY_SUCCESS);
            short(arguments, "");
            arguments.put_u32(0);
        });
        self.flush().await?;
        loop {
            while let Some((kind, mut payload)) = self.whole_frame()? {
                let is_method = kind == METHOD && payload.len() >= 4;
                if is_method && (payload.get_u16(), payload.get_u16()) == id::CHANNEL_CLOSE_OK {
                    return Ok(());
                }
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the broker closed the connection before the channel");
            }
        }
    }

    /// What comes next. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            if let Some(event) = self.ready()? {
                return Ok(event);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the broker closed the connection");
            }
        }
    }

    /// What has come already.
    pub(crate) fn ready(&mut self) -> anyhow::Result<Option<Event>> {
        let Some((kind, mut payload)) = self.whole_frame()? else {
            return Ok(None);
        };
        Ok(Some(match kind {
            METHOD => event(&mut payload)?,
            BODY => Event::Body {
                bytes: payload.len(),
            },
            _ => Event::Other,
        }))
    }

    /// The bytes of the body that [`Event::Body`] has just told of.
    pub(crate) fn last_body(&self) -> &[u8] {
        let end = self.used.saturating_sub(1);
        self.read.get(FRAME_LEAD..end).unwrap_or_default()
    }

    /// The next frame's kind and payload, after the last one was dropped.
    fn whole_frame(&mut self) -> anyhow::Result<Option<(u8, &[u8])>> {
        self.read.advance(self.used);
        self.used = 0;
        let Some(mut lead) = self.read.get(..FRAME_LEAD) else {
            return Ok(None);
        };
        let (kind, _, length) = (lead.get_u8(), lead.get_u16(), lead.get_u32());
        let end = FRAME_LEAD + usize::try_from(length)?;
        let Some(last) = self.read.get(end) else {
            self.read.reserve(end + 1 - self.read.len());
            return Ok(None);
        };
        if *last != FRAME_END {
            bail!("a frame that does not end where it should");
        }
        self.used = end + 1;
        Ok(Some((kind, &self.read[FRAME_LEAD..end])))
    }

    /// Sends what was written and waits for one method; answers its arguments.
    async fn expect(&mut self, wanted: (u16, u16)) -> anyhow::Result<Vec<u8>> {
        self.flush().await?;
        loop {
            if let Some((kind, mut payload)) = self.whole_frame()? {
                let found = (payload.try_get_u16()?, payload.try_get_u16()?);
                if kind == METHOD && found == wanted {
                    return Ok(payload.to_vec());
                }
                bail!(
                    "method {found:?} where {wanted:?} was due: {}",
                    text(payload)
                );
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the broker closed the connection where {wanted:?} was due");
            }
        }
    }

    fn method(&mut self, channel: u16, id: (u16, u16), arguments: impl FnOnce(&mut BytesMut)) {
        self.frame(METHOD, channel, |payload| {
            payload.put_u16(id.0);
            payload.put_u16(id.1);
            arguments(payload);
        });
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: impl FnOnce(&mut BytesMut)) {
        let at = self.write.len();
        self.write.put_u8(kind);
        self.write.put_u16(channel);
        self.write.put_u32(0);
        payload(&mut self.write);
        let length = (self.write.len() - at - FRAME_LEAD) as u32;
        self.write[at + 3..at + FRAME_LEAD].copy_from_slice(&length.to_be_bytes());
        self.write.put_u8(FRAME_END);
    }
}

fn event(payload: &mut &[u8]) -> anyhow::Result<Event> {
    match (payload.try_get_u16()?, payload.try_get_u16()?) {
        id::BASIC_ACK => Ok(Event::Confirmed {
            tag: payload.try_get_u64()?,
            multiple: payload.try_get_u8()? != 0,
        }),
        id::BASIC_DELIVER => {
            let consumer = usize::from(payload.try_get_u8()?);
            let mut rest = payload.get(consumer..).unwrap_or_default();
            Ok(Event::Delivered {
                tag: rest.try_get_u64()?,
            })
        }
        other => bail!("method {other:?}: {}", text(payload)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A short string: at most 255 bytes, its length before it.
fn short(arguments: &mut BytesMut, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    arguments.put_u8(length);
    arguments.put_slice(&text.as_bytes()[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::{Channel, Event, GREETING, id};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind, 0, 1][..], &length, payload, &[0xce]].concat()
    }

    fn method(id: (u16, u16), arguments: &[u8]) -> Vec<u8> {
        let ids = [id.0.to_be_bytes(), id.1.to_be_bytes()].concat();
        frame(1, &[&ids, arguments].concat())
    }

    /// Answers the opening without looking at it; then says what it is told to.
    async fn broker(mut stream: TcpStream, then: Vec<u8>) -> Vec<u8> {
        let opening = [
            method(id::CONNECTION_START, &[0, 9]),
            method(id::CONNECTION_TUNE, &[0, 9, 0, 2, 0, 0, 0, 60]),
            method(id::CONNECTION_OPEN_OK, &[0]),
            method(id::CHANNEL_OPEN_OK, &[0; 4]),
            then,
        ];
        stream.write_all(&opening.concat()).await.expect("it reads");
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).await.expect("it hangs up");
        sent
    }

    #[tokio::test]
    async fn a_message_goes_out_and_one_comes_in() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let delivery = [&[1, b'c'][..], &7_u64.to_be_bytes(), &[0, 0, 1, b'q']].concat();
        let then = [
            method(id::BASIC_ACK, &[0, 0, 0, 0, 0, 0, 0, 2, 1]),
            method(id::BASIC_DELIVER, &delivery),
            frame(2, &[0; 14]),
            frame(3, b"hello"),
        ];
        let serving = async {
            let (stream, _) = listener.accept().await.expect("it connects");
            broker(stream, then.concat()).await
        };
        let client = async {
            let mut channel = Channel::open(address).await.expect("it opens");
            channel.publish("q", b"data");
            channel.flush().await.expect("it is sent");
            let mut events = Vec::new();
            for _ in 0..4 {
                events.push(channel.next().await.expect("an event"));
            }
            (events, channel.last_body().to_vec())
        };
        let (sent, (events, body)) = tokio::join!(serving, client);
        let confirmed = Event::Confirmed {
            tag: 2,
            multiple: true,
        };
        let delivered = Event::Delivered { tag: 7 };
        let expected = [confirmed, delivered, Event::Other, Event::Body { bytes: 5 }];
        assert_eq!(events, expected);
        assert_eq!(body, b"hello");
        assert!(sent.starts_with(GREETING));
        assert!(sent.ends_with(&frame(3, b"data")));
        let published = method(id::BASIC_PUBLISH, &[0, 0, 0, 1, b'q', 0]);
        assert!(sent.windows(published.len()).any(|part| part == published));
    }
}
