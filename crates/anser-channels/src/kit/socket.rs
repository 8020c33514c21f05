//! The address of a WebSocket that a platform told. Must not open it.

use url::Url;

use super::connecting::End;

/// The address, for a question that was asked at `asked`: of a WebSocket, and not in the clear where the question was not.
///
/// # Errors
/// That it is none. It is not shown, for it may open the connection to anybody.
pub(crate) fn socket(text: &str, asked: &Url) -> Result<Url, End> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| End::protocol("the platform told no address to connect to"))?;
    match (url.scheme(), asked.scheme()) {
        ("wss", _) | ("ws", "http") => Ok(url),
        ("ws", _) => Err(End::protocol(
            "the platform told an address without TLS, though it was asked over TLS",
        )),
        _ => Err(End::protocol(
            "the platform told an address that is no WebSocket's",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_websocket_and_no_less_safe_than_the_question() {
        let safe = Url::parse("https://a.example/").unwrap();
        let plain = Url::parse("http://127.0.0.1:1/").unwrap();
        assert!(socket("wss://b.example/ws?x=1", &safe).is_ok());
        assert!(socket("ws://127.0.0.1:2/ws", &plain).is_ok());
        assert!(socket("wss://b.example/ws", &plain).is_ok());
        for bad in [
            "",
            "secret",
            "https://b.example/ws",
            "ws://b.example/ws",
            "wss:///",
        ] {
            let end = socket(bad, &safe).unwrap_err();
            assert!(bad.is_empty() || !end.detail.contains(bad), "{bad}");
        }
    }
}
