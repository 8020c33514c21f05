//! An echo: whoever writes to the user hears it back. Run a gateway with `anser serve --dev`, then
//! `cargo run -p anser-client --example echo -- http://127.0.0.1:8620 echo`, and write to `user:echo`.

use anser_client::{Credential, Error, Event, LiveBuilder, Outgoing};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next();
    let server = server.unwrap_or_else(|| "http://127.0.0.1:8620".to_owned());
    let user = arguments.next().unwrap_or_else(|| "echo".to_owned());
    let credential = match std::env::var("ANSER_KEY") {
        Ok(key) => Credential::key_for(key, &user)?,
        Err(_) => Credential::user(&user)?,
    };
    let mut live = LiveBuilder::new(server)
        .credential(credential)
        .resource("echo")
        .connect()
        .await?;
    while let Some(event) = live.next().await {
        let Event::Message(message) = event? else {
            continue;
        };
        if let Ok(received) = message.read()
            && received.header.from.id != user
        {
            let text = received.body.payload();
            let text = String::from_utf8_lossy(&text.bytes);
            let back = Outgoing::text(&text)
                .to(format!("user:{}", received.header.from.id))
                // A message that comes again after a kill is answered once.
                .dedupe_key(format!("echo-{}", received.header.id));
            live.handle().publish(back).await?;
        }
        message.ack();
    }
    Ok(())
}
