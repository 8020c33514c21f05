//! The attempts log's own form: many attempts to a record, each a few dozen bytes. A record is a row of entries; an entry
//! names its delivery and the record that holds that delivery's attempt before, so reading follows a chain.
//!
//! Numbers are LEB128. An entry is its length, the delivery's number, the record before, then the attempt.

use anser_core::Timestamp;
use anser_core::attempt::{Attempt, PossibleDuplicate, Timing};
use anser_core::id::DeliveryId;
use anser_core::inbound::ReportedState;
use anser_core::outcome::OutcomeClass;

/// The form of an attempt; a new field means a new number. Form 1 had no platform ids, form 2 no report.
const FORM: u64 = 3;
/// The classes in the order of their numbers; never reordered.
const OUTCOMES: [OutcomeClass; 8] = [
    OutcomeClass::Delivered,
    OutcomeClass::Limited,
    OutcomeClass::RefreshAuth,
    OutcomeClass::Retry,
    OutcomeClass::Unknown,
    OutcomeClass::Rejected,
    OutcomeClass::Degrade,
    OutcomeClass::Gone,
];

/// Appends an entry to a record under construction.
pub(super) fn push(record: &mut Vec<u8>, delivery: DeliveryId, before: u64, attempt: &Attempt) {
    let mut entry = Vec::with_capacity(96 + attempt.response.len());
    put(&mut entry, delivery.as_u64());
    put(&mut entry, before);
    encode(&mut entry, attempt);
    put(record, entry.len() as u64);
    record.extend_from_slice(&entry);
}

/// A delivery's attempts in a record, oldest first, and the record that holds the one before them (0: none).
/// `None` when the record is malformed.
pub(super) fn find(record: &[u8], delivery: DeliveryId) -> Option<(Vec<Attempt>, u64)> {
    let mut rest = record;
    let mut found = Vec::new();
    let mut first_before = 0;
    while !rest.is_empty() {
        let length = usize::try_from(take(&mut rest)?).ok()?;
        let mut entry = rest.get(..length)?;
        rest = rest.get(length..)?;
        if take(&mut entry)? != delivery.as_u64() {
            continue;
        }
        let before = take(&mut entry)?;
        if found.is_empty() {
            first_before = before;
        }
        found.push(decode(&mut entry)?);
    }
    Some((found, first_before))
}

fn encode(out: &mut Vec<u8>, attempt: &Attempt) {
    put(out, FORM);
    put(out, u64::from(attempt.number));
    put(out, attempt.started.millis().cast_unsigned());
    let timing = &attempt.timing;
    for phase in [
        timing.dns_us,
        timing.connect_us,
        timing.tls_us,
        timing.first_byte_us,
        timing.total_us,
    ] {
        put(out, phase);
    }
    put(
        out,
        u64::from(attempt.status.map_or(0, |status| u32::from(status) + 1)),
    );
    let class = OUTCOMES.iter().position(|class| *class == attempt.outcome);
    put(out, class.unwrap_or(0) as u64);
    put(
        out,
        match attempt.possible_duplicate {
            None => 0,
            Some(PossibleDuplicate::Restart) => 1,
            Some(PossibleDuplicate::Unknown) => 2,
        },
    );
    put(
        out,
        attempt.next.map_or(0, |at| at.millis().cast_unsigned() + 1),
    );
    put_optional(out, attempt.peer.as_deref());
    put_optional(out, attempt.error.as_deref());
    put(out, attempt.degraded.len() as u64);
    for step in &attempt.degraded {
        put_text(out, step);
    }
    for headers in [&attempt.request_headers, &attempt.response_headers] {
        put(out, headers.len() as u64);
        for (name, value) in headers {
            put_text(out, name);
            put_text(out, value);
        }
    }
    put_text(out, &attempt.response);
    put(out, attempt.platform_ids.len() as u64);
    for id in &attempt.platform_ids {
        put_text(out, id);
    }
    let report = attempt.report.and_then(|report| {
        let mut all = ReportedState::ALL.iter();
        all.position(|state| *state == report)
    });
    put(out, report.map_or(0, |place| place as u64 + 1));
}

fn decode(rest: &mut &[u8]) -> Option<Attempt> {
    let form = take(rest)?;
    if !(1..=FORM).contains(&form) {
        return None;
    }
    let number = u32::try_from(take(rest)?).ok()?;
    let started = take_time(rest)?;
    let timing = Timing {
        dns_us: take(rest)?,
        connect_us: take(rest)?,
        tls_us: take(rest)?,
        first_byte_us: take(rest)?,
        total_us: take(rest)?,
    };
    let status = match take(rest)? {
        0 => None,
        status => Some(u16::try_from(status - 1).ok()?),
    };
    let outcome = *OUTCOMES.get(usize::try_from(take(rest)?).ok()?)?;
    let possible_duplicate = match take(rest)? {
        0 => None,
        1 => Some(PossibleDuplicate::Restart),
        2 => Some(PossibleDuplicate::Unknown),
        _ => return None,
    };
    let next = match take(rest)? {
        0 => None,
        at => Some(Timestamp::from_millis((at - 1).cast_signed())),
    };
    Some(Attempt {
        number,
        started,
        timing,
        peer: take_optional(rest)?,
        status,
        outcome,
        error: take_optional(rest)?,
        degraded: take_list(rest, take_text)?,
        possible_duplicate,
        next,
        request_headers: take_list(rest, take_header)?,
        response_headers: take_list(rest, take_header)?,
        response: take_text(rest)?,
        platform_ids: if form == 1 {
            Vec::new()
        } else {
            take_list(rest, take_text)?
        },
        report: if form < 3 { None } else { take_report(rest)? },
    })
}

fn take_report(rest: &mut &[u8]) -> Option<Option<ReportedState>> {
    let Some(place) = take(rest)?.checked_sub(1) else {
        return Some(None);
    };
    let state = ReportedState::ALL.get(usize::try_from(place).ok()?)?;
    Some(Some(*state))
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    put(out, u64::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text);
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_time(rest: &mut &[u8]) -> Option<Timestamp> {
    Some(Timestamp::from_millis(take(rest)?.cast_signed()))
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take(rest)?).ok()?;
    let text = std::str::from_utf8(rest.get(..length)?).ok()?;
    *rest = rest.get(length..)?;
    Some(text.to_owned())
}

fn take_optional(rest: &mut &[u8]) -> Option<Option<String>> {
    match take(rest)? {
        0 => Some(None),
        _ => Some(Some(take_text(rest)?)),
    }
}

fn take_header(rest: &mut &[u8]) -> Option<(String, String)> {
    Some((take_text(rest)?, take_text(rest)?))
}

fn take_list<T>(rest: &mut &[u8], item: fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = usize::try_from(take(rest)?).ok()?;
    // Every item takes a byte at least, so a damaged count cannot ask for more memory than the record has bytes.
    let mut items = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        items.push(item(rest)?);
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anser_core::id::Num;

    fn attempt(number: u32) -> Attempt {
        Attempt {
            number,
            started: Timestamp::from_millis(1_763_859_600_123),
            timing: Timing {
                dns_us: 1,
                connect_us: 200,
                tls_us: 40_000,
                first_byte_us: 41_000,
                total_us: u64::MAX,
            },
            peer: Some("192.0.2.1:443".into()),
            status: Some(503),
            outcome: OutcomeClass::Gone,
            error: Some("reset".into()),
            degraded: vec!["card".into()],
            platform_ids: vec!["om_1".into()],
            possible_duplicate: Some(PossibleDuplicate::Unknown),
            report: Some(ReportedState::Read),
            next: Some(Timestamp::EPOCH),
            request_headers: vec![("a".into(), "b".into())],
            response_headers: vec![("c".into(), String::new())],
            response: "é".into(),
        }
    }

    #[test]
    fn an_attempt_reads_back_and_the_chain_goes_on() {
        let (one, other) = (DeliveryId::new(Num(1), 0), DeliveryId::new(Num(2), 5));
        let mut record = Vec::new();
        push(&mut record, one, 7, &attempt(3));
        push(&mut record, other, 0, &attempt(1));
        push(&mut record, one, 9, &attempt(4));
        assert_eq!(find(&record, one), Some((vec![attempt(3), attempt(4)], 7)));
        assert_eq!(find(&record, other), Some((vec![attempt(1)], 0)));
        assert_eq!(find(&record, DeliveryId::new(Num(3), 0)), Some((vec![], 0)));
    }

    #[test]
    fn attempts_of_earlier_forms_are_read() {
        let attempt = Attempt {
            platform_ids: Vec::new(),
            report: None,
            ..attempt(1)
        };
        let mut old = Vec::new();
        encode(&mut old, &attempt);
        // It began with another number and ended before the report.
        old[0] = 2;
        old.pop();
        assert_eq!(decode(&mut old.as_slice()), Some(attempt.clone()));
        // And before the platform's ids.
        old[0] = 1;
        old.pop();
        assert_eq!(decode(&mut old.as_slice()), Some(attempt));
    }

    #[test]
    fn a_record_cut_anywhere_is_refused_and_not_misread() {
        let id = DeliveryId::new(Num(1), 0);
        let mut record = Vec::new();
        push(&mut record, id, 0, &attempt(1));
        for end in 1..record.len() {
            assert_eq!(find(&record[..end], id), None, "{end}");
        }
    }
}
