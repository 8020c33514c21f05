//! Messages that come, and the acknowledgements that go.

use std::time::Duration;

use anser_core::live::Stream;

use super::super::frame::{Ask, Given};
use super::super::told::Told;
use super::reading::{Reading, State};
use super::{ACK_BYTES, ACK_MESSAGES, Do, IN_HAND_MAX, Plan};

impl Plan {
    pub(super) fn acknowledged(&mut self, stream: &Stream, ticket: u64, now: Duration) {
        let reading = self.readings.iter_mut().find(|one| one.is_of(stream));
        let Some(reading) = reading.filter(|reading| reading.state != State::Unasked) else {
            // The next connection begins behind it.
            self.acknowledge_offline(stream, ticket);
            return;
        };
        reading.acknowledge(ticket);
        let unsaid = reading.unsaid();
        if unsaid.messages >= ACK_MESSAGES || unsaid.bytes >= ACK_BYTES {
            self.say_acknowledged();
        } else if unsaid.messages > 0 && self.ack_since.is_none() {
            self.ack_since = Some(now);
        }
    }

    fn acknowledge_offline(&mut self, stream: &Stream, ticket: u64) {
        if let Some(reading) = self.readings.iter_mut().find(|one| one.is_of(stream)) {
            reading.acknowledge(ticket);
            reading.said();
        }
    }

    /// Tells the server what the application is done with.
    pub(super) fn say_acknowledged(&mut self) {
        self.ack_since = None;
        let mut acks = Vec::new();
        for reading in &mut self.readings {
            if let Some(up_to) = reading.position()
                && reading.unsaid().messages > 0
            {
                let stream = reading.stream.clone();
                acks.push(Ask::Ack { stream, up_to });
                reading.said();
            }
        }
        for ack in acks {
            self.send(&ack, None);
        }
    }

    /// A message of a stream.
    pub(super) fn message(&mut self, given: Box<Given>, now: Duration) {
        let (Some(offset), Some(id)) = (given.offset, given.id()) else {
            self.out.push_back(Do::Tell(Told::Message(given, None)));
            return;
        };
        let in_hand: usize = self.readings.iter().map(Reading::in_hand).sum();
        if in_hand >= IN_HAND_MAX {
            let cause = format!("the application holds {in_hand} messages unacknowledged");
            return self.lost(cause, now);
        }
        let reading = self
            .readings
            .iter_mut()
            .find(|one| one.is_of(&given.stream));
        let Some(reading) = reading else {
            // It was read until just now.
            return;
        };
        self.tickets += 1;
        if reading.take(self.tickets, id, offset, given.message.get().len()) {
            let ticket = Some(self.tickets);
            self.useful = true;
            self.out.push_back(Do::Tell(Told::Message(given, ticket)));
        } else if reading.unsaid().messages > 0 && self.ack_since.is_none() {
            self.ack_since = Some(now);
        }
    }
}
