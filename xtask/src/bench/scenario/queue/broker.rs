//! The queue in RabbitMQ: persistent messages with publisher confirms, manual acknowledgements. One at a time means one
//! message without its confirm and one without its acknowledgement a connection; a batch means up to so many of each.

use crate::bench::amqp::{Channel, Event};
use crate::bench::scenario::queue::work::{self, Consumer, Producer, Taken};
use anyhow::bail;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Publishes on a connection of its own.
#[derive(Debug)]
pub(crate) struct Publisher {
    channel: Channel,
    queue: String,
    outstanding_max: usize,
    published: u64,
    /// Numbers that are published and not confirmed.
    outstanding: BTreeSet<u64>,
}

impl Publisher {
    /// Connects and makes sure of the queue.
    pub(crate) async fn open(
        broker: SocketAddr,
        queue: &str,
        outstanding_max: usize,
    ) -> anyhow::Result<Self> {
        let mut channel = Channel::open(broker).await?;
        let waiting = channel.declare(queue).await?;
        if waiting > 0 {
            bail!("{waiting} messages wait in the queue before it is used");
        }
        channel.confirm().await?;
        Ok(Self {
            channel,
            queue: queue.to_owned(),
            outstanding_max,
            published: 0,
            outstanding: BTreeSet::new(),
        })
    }

    /// Waits for one confirm and takes all that came with it; answers how many messages they are.
    async fn confirms(&mut self) -> anyhow::Result<u64> {
        let before = self.outstanding.len();
        let mut event = self.channel.next().await?;
        loop {
            match event {
                Event::Confirmed {
                    tag,
                    multiple: true,
                } => {
                    self.outstanding = self.outstanding.split_off(&(tag + 1));
                }
                Event::Confirmed { tag, .. } => {
                    self.outstanding.remove(&tag);
                }
                other => bail!("a publisher got {other:?}"),
            }
            match self.channel.ready()? {
                Some(next) => event = next,
                None => return Ok((before - self.outstanding.len()) as u64),
            }
        }
    }
}

impl Producer for Publisher {
    fn room(&self) -> usize {
        self.outstanding_max.saturating_sub(self.outstanding.len())
    }

    async fn send(&mut self, bodies: &[String]) -> anyhow::Result<u64> {
        for body in bodies {
            self.channel.publish(&self.queue, body.as_bytes());
            // The channel's messages are numbered from 1.
            self.published += 1;
            self.outstanding.insert(self.published);
        }
        self.channel.flush().await?;
        self.confirms().await
    }

    async fn settle(&mut self) -> anyhow::Result<u64> {
        let mut count = 0;
        while !self.outstanding.is_empty() {
            count += self.confirms().await?;
        }
        Ok(count)
    }
}

/// Consumes on a connection of its own.
#[derive(Debug)]
pub(crate) struct Subscriber {
    channel: Channel,
    /// Of the message that has begun.
    tag: u64,
}

impl Subscriber {
    /// Connects; from then on messages come.
    pub(crate) async fn open(
        broker: SocketAddr,
        queue: &str,
        prefetch: usize,
    ) -> anyhow::Result<Self> {
        let mut channel = Channel::open(broker).await?;
        channel.declare(queue).await?;
        channel.consume(queue, u16::try_from(prefetch)?).await?;
        Ok(Self { channel, tag: 0 })
    }
}

impl Consumer for Subscriber {
    type Handle = u64;

    async fn receive(&mut self) -> anyhow::Result<Vec<Taken<u64>>> {
        let mut taken = Vec::new();
        loop {
            let event = match self.channel.ready()? {
                Some(event) => event,
                None if taken.is_empty() => self.channel.next().await?,
                None => return Ok(taken),
            };
            match event {
                Event::Delivered { tag } => self.tag = tag,
                Event::Body { .. } => taken.push(Taken {
                    handle: self.tag,
                    sent: work::stamp(self.channel.last_body())?,
                }),
                Event::Other => {}
                Event::Confirmed { .. } => bail!("a consumer got a confirm"),
            }
        }
    }

    /// All at once: what came before them on this connection is deleted already.
    async fn delete(&mut self, tags: &[u64]) -> anyhow::Result<()> {
        if let Some(last) = tags.last() {
            self.channel.acknowledge(*last, tags.len() > 1);
            self.channel.flush().await?;
        }
        Ok(())
    }

    async fn close(self) -> anyhow::Result<()> {
        self.channel.close().await
    }
}
