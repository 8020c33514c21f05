//! One publish over HTTP: the request of a batch, and how its answer reads. Decides nothing.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::plan::{Answer, Lane};
use crate::error::Refusal;
use crate::http::Http;
use crate::live::Confirm;

/// Publishes a batch.
pub(super) async fn publish(http: &Http, lane: &Lane, batch: &[Bytes]) -> Answer {
    let answer = match lane {
        Lane::Topic(topic) => {
            let path = ["v1", "topics", topic, "messages"];
            http.post(&path, array(batch)).await
        }
        Lane::Room(_) | Lane::Direct => http.post(&["v1", "messages"], array(batch)).await,
    };
    match answer {
        Err(cause) => Answer::Nothing(cause),
        Ok(answer) if answer.status == 200 => results(&answer.body),
        Ok(answer) => Answer::All(answer.refusal(), answer.retry_after),
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
