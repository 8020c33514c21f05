//! What every kind of resource has in common on the command line: list, get, create, change, delete. Must not know the
//! fields of any kind.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value};

use super::api::Api;
use crate::exit::Failure;
use crate::output::{Column, Output};

/// Which page of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct Paging {
    /// At most so many (500 at most).
    #[arg(long, value_name = "N")]
    limit: Option<u16>,
    /// Where to go on, as the page before told.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl Paging {
    /// As query parameters.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        limit.into_iter().chain(cursor).collect()
    }
}

/// What is done in the same way with every kind that has one name under one collection.
#[derive(Debug, Subcommand)]
pub(crate) enum Usual {
    /// List them.
    List(Paging),
    /// Show one.
    Get {
        /// Its name.
        name: String,
    },
    /// Change fields of one.
    Set {
        /// Its name.
        name: String,
        /// Such as retention=3600, settings.url=https://… or description=null.
        #[arg(required = true, value_name = "FIELD=VALUE")]
        fields: Vec<Assignment>,
    },
    /// Delete one.
    Delete {
        /// Its name.
        name: String,
        /// Its subscriptions too, cancelling their deliveries.
        #[arg(long)]
        cascade: bool,
    },
}

impl Usual {
    /// Does it, in the collection `/v1/{collection}`.
    pub(crate) async fn run(
        self,
        api: &Api,
        output: &Output,
        collection: &str,
        columns: &[Column],
    ) -> Result<(), Failure> {
        match self {
            Self::List(paging) => {
                list(api, output, &["v1", collection], &paging.query(), columns).await
            }
            Self::Get { name } => get(api, output, &["v1", collection, &name]).await,
            Self::Set { name, fields } => {
                let mut patch = Map::new();
                assign(&mut patch, &fields);
                change(api, output, &["v1", collection, &name], patch).await
            }
            Self::Delete { name, cascade } => {
                delete(api, output, &["v1", collection, &name], cascade).await
            }
        }
    }
}

/// Fields to set: `NAME=VALUE`, dots descend, the value is JSON or else a text, `null` removes.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    path: Vec<String>,
    value: Value,
}

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text
            .split_once('=')
            .ok_or("must be NAME=VALUE, such as retention=3600 or settings.url=https://…")?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("the name before `=` has an empty part".to_owned());
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { path, value })
    }
}

/// Writes assignments into an object.
pub(crate) fn assign(object: &mut Map<String, Value>, assignments: &[Assignment]) {
    for Assignment { path, value } in assignments {
        let (last, parents) = path.split_last().expect("a path has at least one part");
        let mut place = &mut *object;
        for parent in parents {
            let slot = place
                .entry(parent)
                .or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            place = slot.as_object_mut().expect("made an object just above");
        }
        place.insert(last.clone(), value.clone());
    }
}

/// Puts a field in when it was given.
pub(crate) fn put<T: Into<Value>>(object: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}

/// Shows a page of a list.
pub(crate) async fn list(
    api: &Api,
    output: &Output,
    path: &[&str],
    query: &[(&str, String)],
    columns: &[Column],
) -> Result<(), Failure> {
    let answer = api.get(path, query).await?;
    output.page(&answer.text, columns, "none");
    Ok(())
}

/// Shows one resource.
pub(crate) async fn get(api: &Api, output: &Output, path: &[&str]) -> Result<(), Failure> {
    let answer = api.get(path, &[]).await?;
    output.result(&answer.text, |value| output.fields(value));
    Ok(())
}

/// Creates a resource by its name in the collection at `path`.
pub(crate) async fn create(
    api: &Api,
    output: &Output,
    path: &[&str],
    name: &str,
    spec: Map<String, Value>,
) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("name".to_owned(), name.into());
    body.extend(spec);
    let answer = api.post(path, &Value::Object(body)).await?;
    let what = if answer.status == 201 {
        "created"
    } else {
        "unchanged: it is there, just so"
    };
    output.result(&answer.text, |value| {
        format!("{}\n{what}", output.fields(value))
    });
    Ok(())
}

/// Changes some fields (RFC 7396 merge patch).
pub(crate) async fn change(
    api: &Api,
    output: &Output,
    path: &[&str],
    patch: Map<String, Value>,
) -> Result<(), Failure> {
    let body = Value::Object(patch).to_string().into_bytes();
    let answer = api.call(Method::PATCH, path, &[], Some(body)).await?;
    output.result(&answer.text, |value| output.fields(value));
    Ok(())
}

/// Deletes a resource, with `cascade` also what depends on it.
pub(crate) async fn delete(
    api: &Api,
    output: &Output,
    path: &[&str],
    cascade: bool,
) -> Result<(), Failure> {
    let query: &[(&str, String)] = if cascade {
        &[("cascade", "true".to_owned())]
    } else {
        &[]
    };
    let answer = api.call(Method::DELETE, path, query, None).await?;
    let raw = if answer.text.is_empty() {
        "{\"deleted\":true}"
    } else {
        &answer.text
    };
    output.result(raw, |_| "deleted".to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_descend_and_read_json_or_text() {
        let mut object = Map::new();
        let assignments: Vec<Assignment> = [
            "retention=3600",
            "settings.headers.X-Shop=cn-7",
            "settings.timeout=null",
            "description=a=b",
        ]
        .into_iter()
        .map(|text| text.parse().unwrap())
        .collect();
        assign(&mut object, &assignments);
        assert_eq!(
            Value::Object(object),
            serde_json::json!({"retention": 3600, "settings": {"headers": {"X-Shop": "cn-7"}, "timeout": null},
                "description": "a=b"})
        );
        for bad in ["retention", "=1", "a..b=1"] {
            assert!(bad.parse::<Assignment>().is_err(), "{bad}");
        }
    }
}
