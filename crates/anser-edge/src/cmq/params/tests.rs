//! Parameters as clients write them, each rule broken once, and any bytes.
//! Only what a form can carry: what the parameters mean is tested where they are used.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Params<'_> {
    Params::parse(text.as_bytes()).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    let fault = result.unwrap_err();
    format!("{} {}", fault.code(), fault.message())
}

#[test]
fn what_the_clients_send_is_read() {
    let params = parse(
        "Action=SendMessage&queueName=q1&msgBody=%E4%BD%A0+%26%3D%2B%25%2F&routingKey=&subscriptionName%20=s1&flag&&=x",
    );
    assert_eq!(params.required("Action").unwrap(), "SendMessage");
    assert_eq!(params.required("msgBody").unwrap(), "你 &=+%/");
    assert_eq!(params.text("routingKey").unwrap(), None);
    assert_eq!(params.required("routingKey").unwrap(), "");
    assert_eq!(params.required("subscriptionName").unwrap(), "s1");
    assert_eq!(params.text("flag").unwrap(), None);
    assert_eq!(params.text("queuename").unwrap(), None);
    assert_eq!(params.pairs().len(), 7);
}

#[test]
fn scalars_are_refused_by_their_rule() {
    let params = parse("a=1&a=2&b=x&c=50&d=%FF&e=-1&f=99999999999999999999");
    let range = 0..=30;
    for (result, expected) in [
        (
            refused(params.text("a")),
            "4000 (10330)parameter a is NOT a repeatable parameter",
        ),
        (
            refused(params.integer("b", range.clone())),
            "4000 (10360)parameter b error type",
        ),
        (
            refused(params.integer("c", range.clone())),
            "4000 (10350)parameter c value or length is out of range",
        ),
        (
            refused(params.text("d")),
            "4000 (10420)cannot parse d, or request size is more than 1MB",
        ),
        (
            refused(params.integer("e", range.clone())),
            "4000 (10350)parameter e value or length is out of range",
        ),
        (
            refused(params.integer("f", range.clone())),
            "4000 (10360)parameter f error type",
        ),
        (
            refused(params.required("z")),
            "4000 (10390)lacked of required parameter z",
        ),
        (
            refused(params.required_integer("z", range)),
            "4000 (10390)lacked of required parameter z",
        ),
    ] {
        assert_eq!(result, expected);
    }
    let many = "a=1&".repeat(PARAMETERS_MAX + 1);
    assert_eq!(
        refused(Params::parse(many.as_bytes())),
        "4000 (10420)cannot parse request, or request size is more than 1MB"
    );
}

#[test]
fn lists_begin_with_0_or_1_and_sort_by_number() {
    let twelve: String = (1..=12).rev().map(|n| format!("m.{n}=v{n}&")).collect();
    let members = parse(&twelve);
    let members = members.list("m").unwrap();
    assert_eq!(members.first().copied(), Some("v1"));
    assert_eq!(members.get(8..).unwrap(), ["v9", "v10", "v11", "v12"]);
    assert_eq!(parse("m.1=b&m.0=a").list("m").unwrap(), ["a", "b"]);
    assert_eq!(parse("m=x&mm.1=x").list("m").unwrap(), Vec::<&str>::new());
    for (text, expected) in [
        ("m.2=a", "4000 (10380)m parameter is not consequent"),
        ("m.0=a&m.2=b", "4000 (10380)m parameter is not consequent"),
        (
            "m.1=a&m.1=b",
            "4000 (10330)parameter m.1 is NOT a repeatable parameter",
        ),
        (
            "m.1=a&m.01=b",
            "4000 (10330)parameter m.1 is NOT a repeatable parameter",
        ),
        ("m.x=a", "4000 (10310)error: parameter m.x key format error"),
        ("m.=a", "4000 (10310)error: parameter m. key format error"),
        (
            "m.-1=a",
            "4000 (10310)error: parameter m.-1 key format error",
        ),
    ] {
        assert_eq!(refused(parse(text).list("m")), expected, "{text}");
    }
    assert_eq!(
        refused(parse("").required_list("m", 16)),
        "4000 (10390)lacked of required parameter m.n"
    );
    assert_eq!(
        refused(parse("m.1=a&m.2=b").required_list("m", 1)),
        "4000 (10370)m parameter batch size is out of range"
    );
}

proptest! {
    /// Any bytes are read without a panic, and a list is what it says or refused.
    #[test]
    fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(params) = Params::parse(&text) {
            let _ = params.list("a");
            let _ = params.text("a");
            let _ = params.integer("a", 0..=9);
        }
    }

    /// What a form encoder writes comes back.
    #[test]
    fn what_is_encoded_comes_back(pairs in prop::collection::vec((".{1,8}", ".{0,20}"), 0..20)) {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let params = Params::parse(text.as_bytes()).unwrap();
        let read: Vec<(String, String)> = params
            .pairs()
            .iter()
            .map(|pair| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (text(&pair.name), text(&pair.value))
            })
            .collect();
        prop_assert_eq!(read, pairs);
    }

    /// A list of any length, begun at 0 or 1 and sent in any order, comes back in its own.
    #[test]
    fn lists_come_back_in_order(count in 1_usize..40, first in 0_usize..2, seed in any::<u64>()) {
        let mut members: Vec<(u64, String)> = (0..count)
            .map(|n| (seed.wrapping_mul(n as u64 * 2 + 1).rotate_left(17), format!("m.{}={n}", n + first)))
            .collect();
        members.sort();
        let text: Vec<String> = members.into_iter().map(|(_, text)| text).collect();
        let text = text.join("&");
        let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let params = parse(&text);
        prop_assert_eq!(params.list("m").unwrap(), expected);
    }
}
