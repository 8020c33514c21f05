//! The parameters of one CMQ request, as sent: a query string or a form text becomes raw pairs, and each look-up checks
//! what it finds (once or a list, a number, within its range). Pure. What is not looked up means nothing, but is signed.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use percent_encoding::percent_decode;

use super::error::{
    BATCH_SIZE, ERROR_TYPE, Fault, LIST_KEY, MISSING, NOT_CONSEQUENT, OUT_OF_RANGE, REPEATED,
    UNREADABLE,
};

/// Parameters of one request: the largest has a body and a tag for each of a batch and a dozen common ones.
const PARAMETERS_MAX: usize = 256;

/// One parameter, percent signs and plus signs decoded, nothing else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    /// Its name, blanks around it included: it is signed like this.
    pub(super) name: Cow<'a, [u8]>,
    /// Its value; any bytes.
    pub(super) value: Cow<'a, [u8]>,
}

impl Pair<'_> {
    /// Whether it is called so, blanks around the name aside.
    fn is(&self, name: &str) -> bool {
        self.name.trim_ascii() == name.as_bytes()
    }
}

/// The parameters of one request, in the order sent.
#[derive(Debug)]
pub(super) struct Params<'a> {
    pairs: Vec<Pair<'a>>,
}

impl<'a> Params<'a> {
    /// Reads a query string or the text of a form (WHATWG URL, `application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// More than [`PARAMETERS_MAX`].
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        let mut pairs = Vec::new();
        for piece in text.split(|byte| *byte == b'&') {
            if piece.is_empty() {
                continue;
            }
            if pairs.len() == PARAMETERS_MAX {
                return Err(Fault::about(&UNREADABLE, "request")
                    .detail(format!("a request has at most {PARAMETERS_MAX} parameters")));
            }
            let middle = piece.iter().position(|byte| *byte == b'=');
            let (name, value) = match middle {
                Some(middle) => (&piece[..middle], &piece[middle + 1..]),
                None => (piece, &[][..]),
            };
            pairs.push(Pair {
                name: decode(name),
                value: decode(value),
            });
        }
        Ok(Self { pairs })
    }

    /// All of them, for the signature.
    pub(super) fn pairs(&self) -> &[Pair<'a>] {
        &self.pairs
    }

    /// The bytes of a parameter that may be given once.
    ///
    /// # Errors
    /// Given twice.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<&[u8]>, Fault> {
        let mut found = self.pairs.iter().filter(|pair| pair.is(name));
        let first = found.next();
        if found.next().is_some() {
            return Err(Fault::about(&REPEATED, name));
        }
        Ok(first.map(|pair| &*pair.value))
    }

    /// The text of a parameter, `None` when it is absent or empty: some clients send every optional text.
    ///
    /// # Errors
    /// Given twice, or no UTF-8.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        let text = self
            .bytes(name)?
            .map(|bytes| as_text(name, bytes))
            .transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The text of a parameter that must be there; it may be empty.
    ///
    /// # Errors
    /// Absent, or as [`Params::text`].
    pub(super) fn required(&self, name: &str) -> Result<&str, Fault> {
        match self.bytes(name)? {
            Some(bytes) => as_text(name, bytes),
            None => Err(Fault::about(&MISSING, name)),
        }
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// No number, or out of range, or as [`Params::text`].
    pub(super) fn integer(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Fault> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let number = as_integer(name, text)?;
        if !range.contains(&number) {
            let rule = format!("must be {} to {}", range.start(), range.end());
            return Err(Fault::about(&OUT_OF_RANGE, name).detail(rule));
        }
        Ok(Some(number))
    }

    /// A whole number within `range` that must be there.
    ///
    /// # Errors
    /// Absent, or as [`Params::integer`].
    pub(super) fn required_integer(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<i64, Fault> {
        self.integer(name, range)?
            .ok_or_else(|| Fault::about(&MISSING, name))
    }

    /// The members of a list, `NAME.N`, in the order of their numbers, which begin with 0 or 1. Empty when there is none.
    ///
    /// # Errors
    /// A member without a number or with the number of another, a gap, or no UTF-8.
    pub(super) fn list(&self, name: &str) -> Result<Vec<&str>, Fault> {
        let mut members = Vec::new();
        for pair in &self.pairs {
            let key = pair.name.trim_ascii();
            let Some(digits) = key
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"."))
            else {
                continue;
            };
            let full = || String::from_utf8_lossy(key).into_owned();
            let number = number(digits).ok_or_else(|| Fault::about(&LIST_KEY, full()))?;
            members.push((number, pair));
        }
        members.sort_by_key(|(number, _)| *number);
        let first = members.first().map_or(0, |(number, _)| *number);
        if first > 1 {
            return Err(Fault::about(&NOT_CONSEQUENT, name));
        }
        let mut values = Vec::with_capacity(members.len());
        for (place, (number, pair)) in members.iter().enumerate() {
            match (*number - first).cmp(&(place as u64)) {
                std::cmp::Ordering::Less => {
                    return Err(Fault::about(&REPEATED, format!("{name}.{number}")));
                }
                std::cmp::Ordering::Equal => values.push(as_text(name, &pair.value)?),
                std::cmp::Ordering::Greater => {
                    return Err(Fault::about(&NOT_CONSEQUENT, name));
                }
            }
        }
        Ok(values)
    }

    /// The 1 to `most` members of a list.
    ///
    /// # Errors
    /// None or too many, or as [`Params::list`].
    pub(super) fn required_list(&self, name: &str, most: usize) -> Result<Vec<&str>, Fault> {
        let values = self.list(name)?;
        if values.is_empty() {
            return Err(Fault::about(&MISSING, format!("{name}.n")));
        }
        if values.len() > most {
            return Err(Fault::about(&BATCH_SIZE, name));
        }
        Ok(values)
    }
}

/// A text as a whole number.
///
/// # Errors
/// It is none, or has more than 64 bits.
pub(super) fn as_integer(name: &str, text: &str) -> Result<i64, Fault> {
    text.trim()
        .parse()
        .map_err(|_| Fault::about(&ERROR_TYPE, name))
}

fn as_text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|_| Fault::about(&UNREADABLE, name).detail("its value is not UTF-8"))
}

/// The number in a list member's name: digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let decoded: Cow<'_, [u8]> = percent_decode(&spaced).into();
    Cow::Owned(decoded.into_owned())
}

#[cfg(test)]
mod tests;
