//! The Rust SDK of Anser: [`live`] receives messages over a connection that mends itself, and publishes with confirms; [`producer`] sends
//! much, in batches, each message once; [`queue`] pulls what is leased to it.
//! It knows the gateway by its API alone; of the project it uses the words of `anser-core`.
//!
//! ```no_run
//! use anser_client::{Credential, Event, LiveBuilder, Outgoing};
//!
//! # async fn run() -> Result<(), anser_client::Error> {
//! let mut live = LiveBuilder::new("https://anser.example.com")
//!     .credential(Credential::key_for("ak_…", "ann")?)
//!     .topic("orders", None)
//!     .connect()
//!     .await?;
//! let hello = Outgoing::text("hello").to("user:bob");
//! let confirm = live.handle().publish(hello).await?;
//! println!("accepted as {}", confirm.id);
//! while let Some(event) = live.next().await {
//!     if let Event::Message(message) = event? {
//!         println!("{}", message.json());
//!         message.ack();
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! ```no_run
//! use anser_client::{Credential, Outgoing, ProducerBuilder};
//!
//! # async fn run() -> Result<(), anser_client::Error> {
//! let producer = ProducerBuilder::new("https://anser.example.com")
//!     .credential(Credential::key("ak_…"))
//!     .build()?;
//! let paid = Outgoing::data(&42)?.topic("orders").event_type("order.paid").key("order-42");
//! producer.send_and_forget(paid)?;
//! producer.close().await;
//! # Ok(()) }
//! ```

mod backoff;
mod credential;
mod entropy;
mod error;
mod http;
pub mod live;
mod outgoing;
pub mod producer;
pub mod queue;
mod server;

pub use anser_core::live::{Offset, PresenceUpdate, Show, Stream};
pub use credential::{Credential, Token, TokenError, TokenSource};
pub use error::{Error, Refusal};
pub use live::{Confirm, Event, Handle, Live, LiveBuilder, Message};
pub use outgoing::Outgoing;
pub use producer::{Interceptor, Producer, ProducerBuilder};
pub use queue::{Queue, QueueBuilder};
