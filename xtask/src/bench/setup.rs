//! The topics, channels and subscriptions a scenario needs, made through the API as a user would.

use crate::bench::connection::Connection;
use crate::bench::receiver::Endpoint;
use serde_json::json;
use std::net::SocketAddr;

/// What every channel signs with: a webhook without a signature is not what people run.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The webhook's format: 256 bytes in, the same 256 bytes out.
pub(crate) const FORMAT: &str = "data";

/// One topic whose messages go to each of the endpoints.
pub(crate) async fn route(
    gateway: SocketAddr,
    topic: &str,
    endpoints: &[Endpoint],
) -> anyhow::Result<()> {
    let mut api = Connection::open(gateway).await?;
    api.post("/v1/topics", &json!({ "name": topic })).await?;
    for (index, endpoint) in endpoints.iter().enumerate() {
        let name = format!("{topic}-{index}");
        let url = format!("http://{}/hook", endpoint.address());
        let settings = json!({ "url": url, "format": FORMAT, "secret": SECRET });
        let channel = json!({ "name": name, "kind": "webhook", "settings": settings });
        api.post("/v1/channels", &channel).await?;
        let path = format!("/v1/topics/{topic}/subscriptions");
        api.post(&path, &json!({ "name": name, "channel": name }))
            .await?;
    }
    Ok(())
}
