//! Where a client that is called back got to: the offset of the mailbox, and of each topic and room it reads. As text it is
//! opaque to clients: `12` or `12,topic:orders=34`. Pure.

use std::fmt;
use std::str::FromStr;

use anser_core::Problem;
use anser_core::live::{Offset, Stream};

/// Streams in one position: as many as one session may read.
const STREAMS_MAX: usize = 100;
/// Bytes of a position.
pub(super) const POSITION_BYTES_MAX: usize = 16 * 1024;

/// Where a client got to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Positions {
    /// In its mailbox.
    pub(super) mailbox: Option<Offset>,
    /// In the others.
    pub(super) streams: Vec<(Stream, Offset)>,
}

impl Positions {
    /// It got to `offset` of `stream`.
    pub(super) fn pass(&mut self, stream: &Stream, offset: Offset) {
        if *stream == Stream::Mailbox {
            self.mailbox = Some(offset);
            return;
        }
        let known = self.streams.iter_mut().find(|(known, _)| known == stream);
        if let Some((_, at)) = known {
            *at = offset;
        } else if self.streams.len() < STREAMS_MAX {
            self.streams.push((stream.clone(), offset));
        }
    }

    /// Where it got to in a topic or room.
    pub(super) fn of(&self, stream: &Stream) -> Option<Offset> {
        let known = self.streams.iter().find(|(known, _)| known == stream);
        known.map(|(_, at)| *at)
    }

    /// Reads one that was given out; `field` is where it stood.
    ///
    /// # Errors
    /// `invalid_offset`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|()| {
            Problem::invalid(
                "invalid_offset",
                field,
                "is no position that was given out here; leave it out to begin anew",
            )
        })
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mailbox.unwrap_or(Offset::START))?;
        for (stream, offset) in &self.streams {
            write!(f, ",{stream}={offset}")?;
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() > POSITION_BYTES_MAX {
            return Err(());
        }
        let mut parts = text.split(',');
        let mailbox = parts.next().unwrap_or_default().parse().map_err(|_| ())?;
        let mut positions = Self {
            mailbox: Some(mailbox),
            streams: Vec::new(),
        };
        for part in parts {
            let (stream, offset) = part.split_once('=').ok_or(())?;
            let stream = stream.parse().map_err(|_| ())?;
            let new = stream != Stream::Mailbox && positions.of(&stream).is_none();
            if !new || positions.streams.len() >= STREAMS_MAX {
                return Err(());
            }
            let offset = offset.parse().map_err(|_| ())?;
            positions.streams.push((stream, offset));
        }
        Ok(positions)
    }
}

/// The streams that a query asks to read: `topic:orders,room:team`.
///
/// # Errors
/// `invalid_parameter`, `too_many`.
pub(super) fn streams(text: Option<&str>) -> Result<Vec<Stream>, Problem> {
    let words = text.unwrap_or_default().split(',').map(str::trim);
    let mut streams: Vec<Stream> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        let stream = word
            .parse()
            .ok()
            .filter(|stream| *stream != Stream::Mailbox);
        let stream = stream.ok_or_else(|| {
            let detail = "is a list of streams, split at commas; the mailbox is always read";
            Problem::invalid("invalid_parameter", "read", detail).accepted("topic:NAME, room:NAME")
        })?;
        if streams.len() >= STREAMS_MAX {
            let detail = format!("may have at most {STREAMS_MAX} streams");
            return Err(Problem::invalid("too_many", "read", detail));
        }
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let mut positions = Positions::default();
        assert_eq!(positions.to_string(), "0");
        let topic: Stream = "topic:orders".parse().unwrap();
        positions.pass(&topic, "34".parse().unwrap());
        positions.pass(&Stream::Mailbox, "12.5.7".parse().unwrap());
        positions.pass(&topic, "35".parse().unwrap());
        assert_eq!(positions.to_string(), "12.5.7,topic:orders=35");
        assert_eq!(positions.to_string().parse(), Ok(positions.clone()));
        assert_eq!(positions.of(&topic), Some("35".parse().unwrap()));
        for bad in [
            "",
            "x",
            "1,",
            "1,topic:a",
            "1,topic:a=",
            "1,topic:a=1,topic:a=2",
            "1,mailbox=2",
            "-1",
            &"1".repeat(100),
            &format!("1{}", ",topic:a=1".repeat(2_000)),
        ] {
            let problem = Positions::parse("after", bad).unwrap_err();
            assert_eq!(problem.code, "invalid_offset", "{bad:.40}");
        }
    }

    #[test]
    fn a_list_of_streams_has_each_once() {
        let read = streams(Some("topic:a, room:b,topic:a,")).unwrap();
        assert_eq!(read.len(), 2);
        assert!(streams(None).unwrap().is_empty());
        for bad in ["mailbox", "orders", "topic:"] {
            assert_eq!(streams(Some(bad)).unwrap_err().code, "invalid_parameter");
        }
    }

    proptest! {
        #[test]
        fn noise_is_no_position(text in "[0-9a-z.,=:]{0,40}") {
            if let Ok(positions) = text.parse::<Positions>() {
                prop_assert_eq!(positions.to_string().parse(), Ok(positions));
            }
        }
    }
}
