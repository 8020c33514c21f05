//! The command line as a whole: which commands there are and what each is given. Must not do any of the work.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::client::{
    Api, BlobCommand, ChannelCommand, DeliveryCommand, IssuerCommand, KeyCommand, ListenArguments,
    MessageCommand, PublishArguments, QueueCommand, Remote, RobotCommand, RoomCommand,
    SendArguments, SessionCommand, SubscriptionCommand, TailArguments, TokenCommand, TopicCommand,
};
use crate::demo::DemoArguments;
use crate::exit::{EXIT_CODES, Failure};
use crate::output::{Form, Output};
use crate::server::serve;
use crate::server::settings::{self, Flags};
use crate::sim::SimArguments;

/// A self-hosted message gateway: what it accepts is durable, and gets to every webhook that should have it.
#[derive(Debug, Parser)]
#[command(name = "anser", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// How results are printed.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORM",
        env = "ANSER_OUTPUT",
        default_value = "human",
        help_heading = "Client options"
    )]
    output: Form,
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    #[command(after_long_help = serve_help())]
    Serve(Flags),
    /// See it work: a gateway, receivers that fail and recover, sample traffic, and a verdict.
    Demo(DemoArguments),
    /// Stand in for a chat platform: takes, checks and shows what a bot or a channel sends it.
    Sim(SimArguments),
    /// Hear what comes to a user, a topic or a room, as it comes.
    Listen(ListenArguments),
    #[command(flatten)]
    Ask(Ask),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// The commands that talk to a server.
#[derive(Debug, Subcommand)]
enum Ask {
    /// Send one message.
    Send(SendArguments),
    /// Publish a file of messages, one JSON item a line.
    Publish(PublishArguments),
    /// Follow messages as they are accepted.
    Tail(TailArguments),
    /// Topics: what messages are published to.
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Channels: the ways out.
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Subscriptions: which messages of a topic go through which channel, or into which queue.
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// Queues: what consumers pull messages from.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Blobs: files that attachments of messages refer to.
    #[command(subcommand)]
    Blob(BlobCommand),
    /// Robots: URLs that programs post to as they would to a group robot.
    #[command(subcommand)]
    Robot(RobotCommand),
    /// Issuers: applications whose signed tokens open live sessions of their users.
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// Rooms: what is sent to one goes to every live session in it.
    #[command(subcommand)]
    Room(RoomCommand),
    /// Live sessions: who is connected.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Tokens of live clients, signed for trying.
    #[command(subcommand)]
    Token(TokenCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Messages that were accepted.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Deliveries and their attempts.
    #[command(subcommand)]
    Delivery(DeliveryCommand),
}

fn serve_help() -> String {
    format!(
        "All settings, as `--config` reads them:\n\n{}\n{EXIT_CODES}",
        settings::DEFAULTS
    )
}

impl Cli {
    /// How results are to be printed.
    pub(crate) fn output(&self) -> Output {
        Output::new(self.output)
    }

    /// Does what was asked.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let output = self.output();
        match self.command {
            Command::Serve(flags) => Ok(serve::run(&flags)?),
            Command::Demo(arguments) => arguments.run(&output),
            Command::Sim(arguments) => arguments.run(&output),
            Command::Completions { shell } => {
                clap_complete::generate(
                    shell,
                    &mut Self::command(),
                    "anser",
                    &mut std::io::stdout(),
                );
                Ok(())
            }
            Command::Listen(arguments) => {
                let runtime = crate::server::runtime::build(0)?;
                runtime.block_on(arguments.run(&self.remote, &output))
            }
            Command::Ask(command) => {
                let api = Api::new(&self.remote)?;
                let runtime = crate::server::runtime::build(0)?;
                runtime.block_on(command.run(&api, &output))
            }
        }
    }
}

impl Ask {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Send(arguments) => arguments.run(api, output).await,
            Self::Publish(arguments) => arguments.run(api, output).await,
            Self::Tail(arguments) => arguments.run(api, output).await,
            Self::Topic(command) => command.run(api, output).await,
            Self::Channel(command) => command.run(api, output).await,
            Self::Subscription(command) => command.run(api, output).await,
            Self::Queue(command) => command.run(api, output).await,
            Self::Blob(command) => command.run(api, output).await,
            Self::Robot(command) => command.run(api, output).await,
            Self::Issuer(command) => command.run(api, output).await,
            Self::Room(command) => command.run(api, output).await,
            Self::Session(command) => command.run(api, output).await,
            Self::Token(command) => command.run(api, output).await,
            Self::Key(command) => command.run(api, output).await,
            Self::Message(command) => command.run(api, output).await,
            Self::Delivery(command) => command.run(api, output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
