//! The matcher of a key's patterns: `*` stands for any run of characters, everything else for itself. Pure.

use anser_core::name::is_system_topic;

/// Whether `pattern` matches `text`, whose first `name` bytes are compared ignoring (ASCII) case. Time is at most the
/// product of both lengths.
pub(crate) fn matches(pattern: &str, text: &str, name: usize) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the characters behind the last `*` do not match: the `*` takes one more.
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            last_star = Some((p + 1, t));
            p += 1;
        } else if pattern
            .get(p)
            .is_some_and(|expected| same(*expected, text[t], t < name))
        {
            p += 1;
            t += 1;
        } else if let Some((behind, taken)) = last_star {
            last_star = Some((behind, taken + 1));
            (p, t) = (behind, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether a pattern of a key or token covers a name.
#[must_use]
pub(crate) fn pattern_matches(pattern: &str, name: &str, ignoring_case: bool) -> bool {
    matches(pattern, name, if ignoring_case { name.len() } else { 0 })
}

/// Whether a pattern of a key or token covers a topic. The system's topics, which begin with `$`, take a pattern that begins
/// so too: `*` is every topic that somebody made.
#[must_use]
pub(crate) fn topic_matches(pattern: &str, topic: &str) -> bool {
    (!is_system_topic(topic) || pattern.starts_with('$')) && pattern_matches(pattern, topic, true)
}

const fn same(expected: u8, found: u8, ignoring_case: bool) -> bool {
    if ignoring_case {
        expected.eq_ignore_ascii_case(&found)
    } else {
        expected == found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_topics_take_a_pattern_of_their_own() {
        for (pattern, topic, expected) in [
            ("*", "orders", true),
            ("*", "$presence", false),
            ("*presence", "$presence", false),
            ("$*", "$presence", true),
            ("$room.*", "$room.dev", true),
            ("$room.*", "$presence", false),
            ("$*", "orders", false),
        ] {
            assert_eq!(topic_matches(pattern, topic), expected, "{pattern} {topic}");
        }
    }

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "orders", true),
            ("orders", "ORDERS", true),
            ("orders", "orders2", false),
            ("orders*", "orders", true),
            ("orders*", "orders.eu", true),
            ("*.eu", "orders.eu", true),
            ("*.eu", "orders.eu2", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("**a", "xa", true),
            ("", "", true),
            ("", "a", false),
            ("é*", "éa", true),
            ("?", "a", false),
        ] {
            assert_eq!(
                matches(pattern, text, text.len()),
                expected,
                "{pattern} on {text}"
            );
        }
        assert!(!matches(&"*a".repeat(60), &"a".repeat(59), 0));
        assert!(!matches("ops/ABC", "ops/abc", 3));
        assert!(matches("OPS/abc", "ops/abc", 3));
    }
}
