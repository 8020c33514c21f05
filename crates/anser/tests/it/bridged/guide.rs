//! The lines of `docs/guide/bridge.md`, with the stand-ins of the guide.

use anser_sim::{Callback, Platform, Sim, SimOptions};

use crate::harness::{Api, Server, eventually};
use crate::readme;

/// The guide.
const PAGE: &str = "docs/guide/bridge.md";

/// The gateway and the stand-ins of the guide.
struct Stage {
    server: Server,
    sims: Vec<Sim>,
    /// The id of the message that was written last.
    id: String,
}

impl Stage {
    async fn set() -> Self {
        let server = Server::start();
        let mut sims = Vec::new();
        for platform in [Platform::Feishu, Platform::Slack] {
            let mut options = SimOptions::new(platform);
            let url = format!("{}/in/{}", server.base(), platform.name());
            let secrets = platform.secrets();
            options.callback = Some(Callback::new(&url, secrets).unwrap());
            sims.push(Sim::start(options).await.unwrap());
        }
        let id = String::new();
        Self { server, sims, id }
    }

    /// A text of the guide with the addresses and the id that are here.
    fn here(&self, text: &str) -> String {
        let mut text = text.replace("http://127.0.0.1:8620", self.server.base());
        for (sim, port) in self.sims.iter().zip(8701..) {
            text = text.replace(&format!("http://127.0.0.1:{port}"), sim.base());
        }
        text.replace("\"id\":\"ID\"", &format!("\"id\":\"{}\"", self.id))
            .replace(
                "\"reply_to\":\"ID\"",
                &format!("\"reply_to\":\"{}\"", self.id),
            )
    }

    /// Runs a line by the stand-in of a shell.
    async fn run(&mut self, line: &str) {
        let words: Vec<String> = readme::words(line)
            .iter()
            .map(|word| self.here(word))
            .collect();
        let printed = match words[0].as_str() {
            "curl" => {
                let to = |sim: &&Sim| words.iter().any(|word| word.starts_with(sim.base()));
                let base = self
                    .sims
                    .iter()
                    .find(to)
                    .expect("a stand-in")
                    .base()
                    .to_owned();
                let api = Api::new(&base, None);
                readme::curl_by(&base, &api, &words[1..]).await
            }
            readme::BINARY => {
                let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
                self.server.anser(&arguments).ok()
            }
            other => panic!("a command that the stand-in does not know: {other}"),
        };
        assert!(!printed.is_empty(), "{line}");
        if let Ok(told) = serde_json::from_str::<serde_json::Value>(&printed)
            && let Some(id) = told["id"].as_str()
        {
            id.clone_into(&mut self.id);
        }
    }

    /// What stands in the other chat now.
    async fn shows(&self, place: usize, text: &str) {
        let what = format!("a copy says {text}");
        eventually(&what, || async {
            let mut copies = self.sims[place].messages().into_iter();
            copies
                .any(|copy| {
                    let now = copy.edits.last().map_or(&copy.text, |edit| &edit.text);
                    copy.from.is_none() && copy.recalled_at.is_none() && now.ends_with(text)
                })
                .then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_guide_work_as_written() {
    let mut stage = Stage::set().await;
    for line in readme::lines(PAGE) {
        stage.run(&line).await;
        for (said, place) in [
            ("\"text\":\"lunch?\"", 1),
            ("\"text\":\"yes, at noon\"", 0),
            ("\"text\":\"yes, at one\"", 0),
        ] {
            if let Some((_, text)) = said.split_once(':').filter(|_| line.contains(said)) {
                stage.shows(place, text.trim_matches('"')).await;
            }
        }
    }
    eventually("the copy is taken back", || async {
        let mut copies = stage.sims[0].messages().into_iter();
        copies
            .any(|copy| copy.from.is_none() && copy.recalled_at.is_some())
            .then_some(())
    })
    .await;
}
