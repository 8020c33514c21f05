//! The one matcher of dotted words, used for event types and for binding keys: `*` is exactly one word (not an empty
//! one), `#` is zero or more words (AMQP 0-9-1 §3.1.3.3; Tencent CMQ, "routing key matching").

use crate::limits::{ROUTING_KEY_BYTES_MAX, ROUTING_KEY_DOTS_MAX};
use crate::problem::Problem;

/// A pattern over words split at `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Literal(Box<str>),
    One,
    Any,
}

impl Pattern {
    /// Reads a pattern of at most 128 bytes and 15 dots.
    ///
    /// # Errors
    /// `invalid_pattern`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let dots = text.bytes().filter(|byte| *byte == b'.').count();
        if text.is_empty()
            || text.len() > ROUTING_KEY_BYTES_MAX
            || dots > ROUTING_KEY_DOTS_MAX
            || text.chars().any(char::is_control)
        {
            let rule = format!(
                "a pattern has 1 to {ROUTING_KEY_BYTES_MAX} bytes and at most {ROUTING_KEY_DOTS_MAX} dots; '*' stands for one word, '#' for any number"
            );
            return Err(Problem::invalid("invalid_pattern", field, rule)
                .accepted("order.*, order.#, order.paid"));
        }
        let words = text.split('.').map(|word| match word {
            "*" => Word::One,
            "#" => Word::Any,
            literal => Word::Literal(literal.into()),
        });
        Ok(Self {
            words: words.collect(),
        })
    }

    /// Whether `text` matches. Time is at most words of the pattern times words of the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        // `reachable[i]`: the words read so far can be matched by the first `i` words of the pattern.
        let mut reachable = vec![false; self.words.len() + 1];
        reachable[0] = true;
        self.skip_any(&mut reachable);
        for word in text.split('.') {
            let mut next = vec![false; self.words.len() + 1];
            for (i, expected) in self.words.iter().enumerate() {
                if !reachable[i] {
                    continue;
                }
                match expected {
                    Word::Any => next[i] = true,
                    Word::One => next[i + 1] |= !word.is_empty(),
                    Word::Literal(literal) => next[i + 1] |= **literal == *word,
                }
            }
            self.skip_any(&mut next);
            reachable = next;
        }
        reachable[self.words.len()]
    }

    /// `#` may stand for nothing: what is reachable before it is reachable behind it.
    fn skip_any(&self, reachable: &mut [bool]) {
        for (i, word) in self.words.iter().enumerate() {
            if *word == Word::Any && reachable[i] {
                reachable[i + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_by_words() {
        for (pattern, text, expected) in [
            ("#", "", true),
            ("#", "a.b.c", true),
            ("order.*", "order.paid", true),
            ("order.*", "order", false),
            ("order.*", "order.", false),
            ("order.*", "order.paid.eu", false),
            ("order.#", "order", true),
            ("order.#", "order.paid.eu", true),
            ("1.#.0", "1.0", true),
            ("1.#.0", "1.2.3.4.0", true),
            ("1.#.0", "1.2.3.4", false),
            ("#.eu", "eu", true),
            ("*.*", "a.b", true),
            ("*.#.*", "a", false),
            ("*.#.*", "a.b", true),
            ("a..b", "a..b", true),
            ("order", "Order", false),
        ] {
            assert_eq!(
                Pattern::parse("p", pattern).unwrap().matches(text),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn many_wildcards_stay_cheap() {
        let pattern = Pattern::parse("p", "#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.x").unwrap();
        assert!(!pattern.matches(&"a.".repeat(60)));
    }

    #[test]
    fn refuses_what_is_too_long() {
        assert!(Pattern::parse("p", "").is_err());
        assert!(Pattern::parse("p", &"a.".repeat(17)).is_err());
        assert!(Pattern::parse("p", &"a".repeat(129)).is_err());
    }
}
