//! One publish over HTTP: the request of a batch, and how its answer reads. Decides nothing.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::plan::{Answer, Lane};
use crate::Error;
use crate::error::Refusal;
use crate::live::Confirm;
use crate::server::Server;

/// Connecting takes no longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A request and its answer take no longer: a commit may wait for a minute.
const REQUEST_WITHIN: Duration = Duration::from_secs(75);
/// An answer is read no further: a thousand results, with long refusals.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What publishes.
#[derive(Debug, Clone)]
pub(super) struct Door {
    http: reqwest::Client,
    server: Server,
    key: Option<String>,
}

impl Door {
    /// A client of a gateway; nothing is sent yet.
    pub(super) fn new(
        server: Server,
        key: Option<String>,
        authorities: &[Vec<u8>],
    ) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(REQUEST_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("anser-client/", env!("CARGO_PKG_VERSION")));
        if server.is_loopback() {
            // A proxy set in the environment would otherwise be asked for this very machine.
            builder = builder.no_proxy();
        }
        for pem in authorities {
            let authorities = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| Error::setting("authority", format!("must be PEM ({error})")))?;
            builder = builder.tls_certs_merge(authorities);
        }
        let http = builder
            .build()
            .map_err(|error| Error::setting("server", error.to_string()))?;
        Ok(Self { http, server, key })
    }

    /// Publishes a batch.
    pub(super) async fn publish(&self, lane: &Lane, batch: &[Bytes]) -> Answer {
        let url = match lane {
            Lane::Topic(topic) => self.server.call(&["v1", "topics", topic, "messages"]),
            Lane::Room(_) | Lane::Direct => self.server.call(&["v1", "messages"]),
        };
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(array(batch));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Answer::Nothing(format!("{}: {}", self.server, chain(&error))),
        }
    }
}

fn array(batch: &[Bytes]) -> Bytes {
    let length: usize = batch.iter().map(|json| json.len() + 1).sum();
    let mut body = BytesMut::with_capacity(length + 1);
    for (place, json) in batch.iter().enumerate() {
        body.put_u8(if place == 0 { b'[' } else { b',' });
        body.extend_from_slice(json);
    }
    body.put_u8(b']');
    body.freeze()
}

async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let wait = response.headers().get(RETRY_AFTER);
    let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
    let wait = wait.map(Duration::from_secs);
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Answer::Nothing("the answer is too long".to_owned()),
            Ok(None) => break,
            Err(error) => return Answer::Nothing(chain(&error)),
        }
    }
    if status == 200 {
        return results(&body);
    }
    let refusal = serde_json::from_slice(&body).unwrap_or_else(|_| Refusal {
        status,
        code: String::new(),
        detail: "the answer is none of a gateway".to_owned(),
        field: None,
        accepted: None,
    });
    Answer::All(refusal, wait)
}

/// The results of a batch, in order.
fn results(body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Status {
        status: u16,
    }
    let one = |raw: &&RawValue| -> Option<Result<Confirm, Refusal>> {
        let status: Status = serde_json::from_str(raw.get()).ok()?;
        if (200..300).contains(&status.status) {
            serde_json::from_str(raw.get()).ok().map(Ok)
        } else {
            serde_json::from_str(raw.get()).ok().map(Err)
        }
    };
    let results: Option<Results<'_>> = serde_json::from_slice(body).ok();
    let results: Option<Vec<_>> =
        results.and_then(|results| results.results.iter().map(one).collect());
    results.map_or_else(
        || Answer::Nothing("the answer to a batch cannot be read".to_owned()),
        Answer::Each,
    )
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_an_array_of_the_items_as_they_were_written() {
        let batch = [
            Bytes::from_static(b"{\"a\":1.0}"),
            Bytes::from_static(b"{}"),
        ];
        assert_eq!(&array(&batch)[..], b"[{\"a\":1.0},{}]");
        assert_eq!(&array(&batch[..1])[..], b"[{\"a\":1.0}]");
    }

    #[test]
    fn results_are_read_one_by_one_and_noise_is_no_answer() {
        let id = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10";
        let body = format!(
            r#"{{"results":[{{"status":202,"id":"{id}","topic":"t","seq":4,"matched":1,"duplicate":true,"durable":true}},
            {{"status":422,"code":"missing_to","detail":"d"}}]}}"#
        );
        let Answer::Each(results) = results(body.as_bytes()) else {
            panic!("not read");
        };
        assert!(matches!(&results[0], Ok(confirm) if confirm.duplicate && confirm.seq == Some(4)));
        assert!(matches!(&results[1], Err(refusal) if refusal.code == "missing_to"));
        for noise in [
            "",
            "{}",
            r#"{"results":[{}]}"#,
            r#"{"results":[{"status":202}]}"#,
        ] {
            assert!(
                matches!(super::results(noise.as_bytes()), Answer::Nothing(_)),
                "{noise}"
            );
        }
    }
}
