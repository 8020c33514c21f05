//! The lines of `docs/guide/feishu-bot.md`, with the stand-in and the bot of the guide.
//! With the feature `external` the real shell runs them, and Python the bot as it is in the guide.

use anser_sim::{Callback, Platform, Sim, SimOptions};

use super::echo;
use crate::harness::{Api, Receiver, Server, eventually};
use crate::readme;

/// The guide.
const PAGE: &str = "docs/guide/feishu-bot.md";

/// The gateway and the stand-in of the guide.
struct Stage {
    server: Server,
    sim: Sim,
    bot: String,
}

impl Stage {
    async fn set(bot: String) -> Self {
        let server = Server::start();
        let mut options = SimOptions::new(Platform::Feishu);
        let secrets = Platform::Feishu.secrets();
        let callback = Callback::new(&format!("{}/in/bot", server.base()), secrets);
        options.callback = Some(callback.unwrap());
        let sim = Sim::start(options).await.unwrap();
        Self { server, sim, bot }
    }

    /// With a stand-in that is told no callback.
    async fn without_callback(bot: String) -> Self {
        let server = Server::start();
        let sim = Sim::start(SimOptions::new(Platform::Feishu)).await.unwrap();
        Self { server, sim, bot }
    }

    /// What a line of the guide prints.
    async fn run(&self, line: &str) -> String {
        let words = readme::words(line);
        let words: Vec<String> = words.iter().map(|word| self.here(word)).collect();
        match words[0].as_str() {
            "curl" => {
                let api = Api::new(self.sim.base(), None);
                readme::curl_by(self.sim.base(), &api, &words[1..]).await
            }
            readme::BINARY => {
                let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
                self.server.anser(&arguments).ok()
            }
            other => panic!("a command that the stand-in does not know: {other}"),
        }
    }

    /// A text of the guide with the addresses that are here.
    fn here(&self, text: &str) -> String {
        text.replace("http://127.0.0.1:8620", self.server.base())
            .replace("http://127.0.0.1:8701", self.sim.base())
            .replace("http://127.0.0.1:8801", &self.bot)
    }

    /// What the bot wrote is in the chat.
    async fn check(&self) {
        let text = eventually("the bot answers", || async {
            let mut messages = self.sim.messages().into_iter();
            messages
                .find(|message| message.from.is_none())
                .map(|message| message.text)
        });
        assert_eq!(text.await, "you said hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_guide_work_as_written() {
    let bot = Receiver::start().await;
    echo(&bot, "/");
    let stage = Stage::set(bot.url("")).await;
    for line in readme::lines(PAGE) {
        assert!(!stage.run(&line).await.is_empty(), "{line}");
    }
    stage.check().await;
}

/// The lines of the section on how to do without a public address.
fn variant() -> Vec<String> {
    let path = format!("{}/../../{PAGE}", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).unwrap();
    let blocks = page.split("```bash\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    lines.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_without_a_public_address() {
    const CHANNEL: &str = "./target/release/anser channel create bot ";
    let bot = Receiver::start().await;
    echo(&bot, "/");
    let stage = Stage::without_callback(bot.url("")).await;
    let variant = variant();
    let [sim, channel, rest @ ..] = &variant[..] else {
        panic!("{variant:?}")
    };
    assert_eq!(
        sim,
        "./target/release/anser sim feishu --listen 127.0.0.1:8701"
    );
    assert!(channel.starts_with(CHANNEL), "{channel}");
    for line in readme::lines(PAGE) {
        let line = match line.starts_with(CHANNEL) {
            true => channel,
            false => &line,
        };
        assert!(!stage.run(line).await.is_empty(), "{line}");
    }
    stage.check().await;
    assert_eq!(rest.len(), 2, "{rest:?}");
    for line in rest {
        let printed = stage.run(line).await;
        assert!(printed.contains("live"), "{line}: {printed}");
    }
}

/// The program in the guide.
#[cfg(feature = "external")]
fn program() -> String {
    let path = format!("{}/../../{PAGE}", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).unwrap();
    let (_, from) = page.split_once("```python\n").expect("the bot");
    let (program, _) = from.split_once("```").expect("its end");
    program.to_owned()
}

/// A program that ends with the test.
#[cfg(feature = "external")]
struct Running(std::process::Child);

#[cfg(feature = "external")]
impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(feature = "external")]
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_and_the_bot_of_the_guide_work_as_they_are() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let program = program().replace("8801", &address.port().to_string());
    let child = std::process::Command::new("python3")
        .args(["-c", &program])
        .spawn();
    let _bot = Running(child.unwrap());
    eventually("the bot listens", || async {
        std::net::TcpStream::connect(address).ok()
    })
    .await;
    let stage = Stage::set(format!("http://{address}")).await;
    for line in readme::lines(PAGE) {
        let (line, server) = (stage.here(&line), &stage.server);
        let run = tokio::task::block_in_place(|| readme::in_shell(&line, server));
        assert!(!run.is_empty(), "{line}");
    }
    stage.check().await;
}
