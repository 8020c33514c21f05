//! The lines of `docs/guide/robots.md`, with stand-ins where the guide says so.

use anser_sim::{Sim, SimOptions};

use super::round::{CHATS, last};
use crate::harness::Server;
use crate::readme;

/// The guide.
pub(crate) const PAGE: &str = "docs/guide/robots.md";

/// A gateway and the three stand-ins of the guide.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) sims: Vec<Sim>,
    /// The robot's token, once it is made.
    token: Option<String>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let mut sims = Vec::new();
        for (platform, _) in CHATS {
            sims.push(Sim::start(SimOptions::new(platform)).await.unwrap());
        }
        Self {
            server: Server::start(),
            sims,
            token: None,
        }
    }

    /// A text of the guide with the addresses and the token that are here.
    pub(crate) fn here(&self, text: &str) -> String {
        let mut text = text.replace("http://127.0.0.1:8620", self.server.base());
        for (sim, port) in self.sims.iter().zip(8701..) {
            text = text.replace(&format!("http://127.0.0.1:{port}"), sim.base());
        }
        text.replace("rb_TOKEN", self.token.as_deref().unwrap_or("rb_TOKEN"))
    }

    /// Takes the token from what a command printed, if it is in there.
    fn note(&mut self, printed: &str) {
        if let Some((_, rest)) = printed.split_once("/robot/") {
            self.token = rest.split('/').next().map(str::to_owned);
        }
    }

    /// Runs every line by the stand-in of a shell.
    pub(crate) async fn run(&mut self) {
        for line in readme::lines(PAGE) {
            let words = readme::words(&line);
            let words: Vec<String> = words.iter().map(|word| self.here(word)).collect();
            let printed = match words[0].as_str() {
                "curl" => readme::curl_at(self.server.base(), &self.server, &words[1..]).await,
                readme::BINARY => {
                    let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
                    self.server.anser(&arguments).ok()
                }
                other => panic!("a command that the stand-in does not know: {other}"),
            };
            self.note(&printed);
        }
    }

    #[cfg(feature = "external")]
    pub(crate) fn run_in_shell(&mut self) {
        for line in readme::lines(PAGE) {
            let printed = readme::in_shell(&self.here(&line), &self.server);
            self.note(&printed);
        }
    }

    /// What was posted by hand is in every chat.
    pub(crate) async fn check(&self) {
        for sim in &self.sims {
            let card = last(sim, 1).await.to_string();
            assert!(
                card.contains("Backup failed") && card.contains("db1"),
                "{card}"
            );
            let text = last(sim, 2).await.to_string();
            assert!(
                text.contains("v1") && text.contains("https://example.com/v1"),
                "{text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_guide_work_as_written() {
    let mut stage = Stage::set().await;
    stage.run().await;
    stage.check().await;
}

#[cfg(feature = "external")]
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_guide_work_in_a_real_shell() {
    let mut stage = Stage::set().await;
    stage.run_in_shell();
    stage.check().await;
}
