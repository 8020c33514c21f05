//! Query parameters, read strictly: unknown, repeated and malformed ones are refused by name, so that a typo is not
//! silently ignored. The fields of the target type are the parameters that exist.

use std::borrow::Cow;
use std::fmt;

use anser_core::Problem;
use serde::de::value::CowStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess,
    Visitor,
};
use url::form_urlencoded;

/// Reads the part of a request target after `?`.
///
/// # Errors
/// 422 `unknown_parameter` or `invalid_parameter`, naming it.
pub(crate) fn read<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Problem> {
    T::deserialize(Query(query.unwrap_or(""))).map_err(|Refused(problem)| *problem)
}

/// For calls that take no parameters.
///
/// # Errors
/// 422 `unknown_parameter`.
pub(crate) fn none(query: Option<&str>) -> Result<(), Problem> {
    match form_urlencoded::parse(query.unwrap_or("").as_bytes()).next() {
        None => Ok(()),
        Some((name, _)) => Err(unknown(&name, &[])),
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let problem = Problem::invalid(
        "unknown_parameter",
        name,
        format!("there is no parameter {name} here"),
    );
    if known.is_empty() {
        return problem;
    }
    problem.accepted(known.join(", "))
}

/// A problem on its way through serde.
#[derive(Debug)]
struct Refused(Box<Problem>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(Box::new(Problem::invalid(
            "invalid_parameter",
            "",
            text.to_string(),
        )))
    }
}

struct Query<'a>(&'a str);

impl<'de> Deserializer<'de> for Query<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::custom("parameters are read into a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_map(Pairs {
            pairs: form_urlencoded::parse(self.0.as_bytes()),
            fields,
            value: None,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Pairs<'de> {
    pairs: form_urlencoded::Parse<'de>,
    fields: &'static [&'static str],
    value: Option<(Cow<'de, str>, Cow<'de, str>)>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some((name, value)) = self.pairs.next() else {
            return Ok(None);
        };
        if !self.fields.contains(&&*name) {
            return Err(Refused(Box::new(unknown(&name, self.fields))));
        }
        let key = seed.deserialize(CowStrDeserializer::new(name.clone()))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Text(value))
            .map_err(|Refused(problem)| Refused(Box::new(problem.field(name))))
    }
}

/// One value: text that becomes what the field wants.
struct Text<'de>(Cow<'de, str>);

macro_rules! parsed {
    ($($method:ident $visit:ident $what:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Refused::custom(concat!("must be ", $what))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Refused;

    parsed! {
        deserialize_bool visit_bool "true or false"
        deserialize_u16 visit_u16 "a whole number from 0 to 65535"
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295"
        deserialize_u64 visit_u64 "a whole number, not negative"
        deserialize_f64 visit_f64 "a number"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let words: CowStrDeserializer<'de, Refused> = self.0.into_deserializer();
        words
            .deserialize_enum(name, variants, visitor)
            .map_err(|_| {
                Refused(Box::new(
                    Problem::invalid(
                        "invalid_parameter",
                        "",
                        "is not one of the words that are accepted",
                    )
                    .accepted(variants.join(", ")),
                ))
            })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 f32 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Parameters {
        limit: Option<u32>,
        word: Option<Word>,
        atomic: bool,
        since: Option<anser_core::Timestamp>,
        text: Option<String>,
    }

    #[test]
    fn reads_what_is_known() {
        let read: Parameters = read(Some(
            "limit=5&word=two&atomic=true&since=2026-11-23T01%3A00%3A00Z&text=a%20b+c",
        ))
        .unwrap();
        assert_eq!(
            (read.limit, read.word, read.atomic),
            (Some(5), Some(Word::Two), true)
        );
        assert_eq!(read.since.unwrap().to_string(), "2026-11-23T01:00:00.000Z");
        assert_eq!(read.text.as_deref(), Some("a b c"));
        assert_eq!(
            super::read::<Parameters>(None).unwrap(),
            Parameters::default()
        );
    }

    #[test]
    fn refuses_by_name() {
        for (query, code, field) in [
            ("limt=5", "unknown_parameter", "limt"),
            ("limit=x", "invalid_parameter", "limit"),
            ("limit=-1", "invalid_parameter", "limit"),
            ("limit=", "invalid_parameter", "limit"),
            ("limit=1&limit=2", "invalid_parameter", ""),
            ("word=three", "invalid_parameter", "word"),
            ("atomic=1", "invalid_parameter", "atomic"),
            ("since=soon", "invalid_parameter", "since"),
            ("=", "unknown_parameter", ""),
        ] {
            let problem = read::<Parameters>(Some(query)).unwrap_err();
            assert_eq!(
                (problem.code, problem.field.as_deref()),
                (code, Some(field)),
                "{query}"
            );
        }
        assert!(none(Some("")).is_ok());
        assert_eq!(none(Some("a")).unwrap_err().code, "unknown_parameter");
    }
}
