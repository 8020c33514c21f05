//! Queues: messages sent, received and deleted through the CMQ door and through the native API, one at a time and in
//! batches; the same in RabbitMQ beside them; and very many consumers that wait.

mod broker;
mod cmq;
mod native;
mod polls;
mod work;

use crate::bench::gateway::Gateway;
use crate::bench::load::PUBLISHERS;
use crate::bench::payload::DATA_BYTES;
use crate::bench::plan::Plan;
use crate::bench::rabbit::{self, Rabbit};
use crate::bench::signed::Credentials;
use crate::bench::table::{Grid, Section, figure};
use std::net::SocketAddr;
use work::{Bench, Phase};

/// As many messages as the protocol lets into one request.
const BATCH: usize = 16;
/// Producers, and as many consumers.
const EACH: usize = PUBLISHERS;
/// Before it counts.
const WARM_UP_MESSAGES: u64 = 3_200;

/// Runs it. Who named it wants RabbitMQ too: then it is installed where it is missing and can be.
pub(crate) async fn run(plan: &Plan, named: bool) -> anyhow::Result<Section> {
    let data = plan.data("queue")?;
    let gateway = plan.start(&data)?;
    let who = cmq::credentials(gateway.address()).await?;
    let polls = polls::gateway(plan, &gateway, &who).await?;
    let mut columns = vec![Column {
        name: "Anser, CMQ",
        one: through_cmq(plan, &gateway, &who, 1).await?,
        batch: through_cmq(plan, &gateway, &who, BATCH).await?,
        resident: gateway.resident_mib()?,
        polls: Some(polls),
    }];
    columns.push(Column {
        name: "Anser, native",
        one: through_native(plan, &gateway, 1).await?,
        batch: through_native(plan, &gateway, BATCH).await?,
        resident: gateway.resident_mib()?,
        polls: None,
    });
    gateway.stop().await?;
    let mut notes = notes(&columns);
    if (plan.beside || named) && rabbit::available(named)? {
        let column = in_rabbit(plan).await?;
        notes.push(rabbit_note(&column));
        columns.push(column);
    } else {
        notes.push(
            "RabbitMQ was left out. `cargo xtask bench --only queue` measures it too, and installs it as root on Debian."
                .to_owned(),
        );
    }
    Ok(Section {
        name: "queue".to_owned(),
        title: format!(
            "{EACH} producers and {EACH} consumers on one queue, {DATA_BYTES} bytes a message, one at a time and {BATCH} at \
             a time; {} waiting consumers",
            figure(polls::POLLS as f64)
        ),
        rows: Vec::new(),
        grids: vec![
            grid(&columns, "One at a time", |column| &column.one),
            grid(&columns, "16 at a time", |column| &column.batch),
            polls_grid(&columns),
        ],
        notes,
    })
}

/// One system.
#[derive(Debug)]
struct Column {
    name: &'static str,
    one: Phases,
    batch: Phases,
    resident: f64,
    polls: Option<polls::Found>,
}

/// What was done in turn.
#[derive(Debug)]
struct Phases {
    send: Phase,
    /// Each by itself, where that can be.
    receive: Option<Phase>,
    delete: Option<Phase>,
    /// Received and deleted, consumer by consumer.
    drain: Phase,
    /// Producers and consumers at once.
    through: Phase,
}

fn bench(plan: &Plan, pid: u32) -> Bench {
    Bench {
        clock: plan.clock,
        pid,
        duration: plan.duration,
        messages_max: plan.queued,
    }
}

fn warm_up(bench: Bench) -> Bench {
    Bench {
        messages_max: WARM_UP_MESSAGES,
        ..bench
    }
}

async fn through_cmq(
    plan: &Plan,
    gateway: &Gateway,
    who: &Credentials,
    batch: usize,
) -> anyhow::Result<Phases> {
    let queue = format!("bench-cmq-{batch}");
    let address = gateway.address();
    cmq::create(address, who, &queue).await?;
    let clients = async || -> anyhow::Result<Vec<cmq::Client>> {
        let mut clients = Vec::new();
        for _ in 0..EACH {
            clients.push(cmq::Client::open(address, who, &queue, batch).await?);
        }
        Ok(clients)
    };
    let bench = bench(plan, gateway.pid());
    let warm = warm_up(bench).fill(clients().await?).await?;
    bench.drain(clients().await?, warm.messages).await?;
    let send = bench.fill(clients().await?).await?;
    let (receive, delete) = bench
        .apart(clients().await?, clients().await?, send.messages)
        .await?;
    let again = bench.fill(clients().await?).await?;
    let drain = bench.drain(clients().await?, again.messages).await?;
    let through = bench.through(clients().await?, clients().await?).await?;
    Ok(Phases {
        send,
        receive: Some(receive),
        delete: Some(delete),
        drain,
        through,
    })
}

async fn through_native(plan: &Plan, gateway: &Gateway, batch: usize) -> anyhow::Result<Phases> {
    let queue = format!("bench-native-{batch}");
    let address = gateway.address();
    native::create(address, &queue).await?;
    let clients = async || -> anyhow::Result<Vec<native::Client>> {
        let mut clients = Vec::new();
        for _ in 0..EACH {
            clients.push(native::Client::open(address, &queue, batch).await?);
        }
        Ok(clients)
    };
    let bench = bench(plan, gateway.pid());
    let send = bench.fill(clients().await?).await?;
    let drain = bench.drain(clients().await?, send.messages).await?;
    let through = bench.through(clients().await?, clients().await?).await?;
    Ok(Phases {
        send,
        receive: None,
        delete: None,
        drain,
        through,
    })
}

async fn in_rabbit(plan: &Plan) -> anyhow::Result<Column> {
    let data = plan.data("rabbit")?;
    let rabbit = Rabbit::start(data.path()).await?;
    let polls = polls::broker(plan, &rabbit).await?;
    let bench = bench(plan, rabbit.pid()?);
    let column = Column {
        name: "RabbitMQ",
        one: through_rabbit(bench, rabbit.address(), 1).await?,
        batch: through_rabbit(bench, rabbit.address(), BATCH).await?,
        resident: rabbit.resident_mib()?,
        polls: Some(polls),
    };
    rabbit.stop().await?;
    Ok(column)
}

async fn through_rabbit(bench: Bench, broker: SocketAddr, batch: usize) -> anyhow::Result<Phases> {
    let queue = format!("bench-{batch}");
    let publishers = async || -> anyhow::Result<Vec<broker::Publisher>> {
        let mut publishers = Vec::new();
        for _ in 0..EACH {
            publishers.push(broker::Publisher::open(broker, &queue, batch).await?);
        }
        Ok(publishers)
    };
    let subscribers = async || -> anyhow::Result<Vec<broker::Subscriber>> {
        let mut subscribers = Vec::new();
        for _ in 0..EACH {
            subscribers.push(broker::Subscriber::open(broker, &queue, batch).await?);
        }
        Ok(subscribers)
    };
    let warm = warm_up(bench).fill(publishers().await?).await?;
    bench.drain(subscribers().await?, warm.messages).await?;
    let send = bench.fill(publishers().await?).await?;
    let drain = bench.drain(subscribers().await?, send.messages).await?;
    let through = bench
        .through(publishers().await?, subscribers().await?)
        .await?;
    Ok(Phases {
        send,
        receive: None,
        delete: None,
        drain,
        through,
    })
}

/// The first cell and a name a column.
fn head(columns: &[Column], first: &str) -> Vec<String> {
    let names = columns.iter().map(|column| column.name);
    std::iter::once(first)
        .chain(names)
        .map(str::to_owned)
        .collect()
}

fn grid(columns: &[Column], first: &str, which: impl Fn(&Column) -> &Phases) -> Grid {
    let mut rows = Vec::new();
    let mut row = |what: &str, value: &dyn Fn(&Phases) -> Option<f64>| {
        let values = columns
            .iter()
            .map(|column| value(which(column)).unwrap_or(f64::NAN));
        rows.push((what.to_owned(), values.collect()));
    };
    row("sent, /s", &|phases| Some(phases.send.per_second));
    row("server CPU to send one, µs", &|phases| {
        Some(phases.send.server_micros)
    });
    row("received, /s", &|phases| {
        Some(phases.receive.as_ref()?.per_second)
    });
    row("server CPU to receive one, µs", &|phases| {
        Some(phases.receive.as_ref()?.server_micros)
    });
    row("deleted, /s", &|phases| {
        Some(phases.delete.as_ref()?.per_second)
    });
    row("server CPU to delete one, µs", &|phases| {
        Some(phases.delete.as_ref()?.server_micros)
    });
    row("received and deleted in turn, /s", &|phases| {
        Some(phases.drain.per_second)
    });
    row("server CPU for that, µs", &|phases| {
        Some(phases.drain.server_micros)
    });
    row("all at once, messages through, /s", &|phases| {
        Some(phases.through.per_second)
    });
    row("server CPU for one, µs", &|phases| {
        Some(phases.through.server_micros)
    });
    row("harness CPU for one, µs", &|phases| {
        Some(phases.through.harness_micros)
    });
    row("send → received, median, ms", &|phases| {
        Some(phases.through.latencies.p50_ms())
    });
    row("send → received, 99th percentile, ms", &|phases| {
        Some(phases.through.latencies.p99_ms())
    });
    Grid {
        head: head(columns, first),
        rows,
    }
}

fn polls_grid(columns: &[Column]) -> Grid {
    let mut rows = Vec::new();
    let mut row = |what: &str, value: &dyn Fn(&polls::Found) -> f64| {
        let values = columns
            .iter()
            .map(|column| column.polls.as_ref().map_or(f64::NAN, value));
        rows.push((what.to_owned(), values.collect()));
    };
    row("resident before, MiB", &|found| found.before);
    row("resident while they wait, MiB", &|found| found.waiting);
    row("for each of them, KiB", &|found| {
        (found.waiting - found.before) * 1024.0 / polls::POLLS as f64
    });
    row("resident when they are gone, MiB", &|found| found.after);
    row("of a core while they wait, %", &|found| found.share);
    row("send → received by one, median, ms", &|found| {
        found.latencies.p50_ms()
    });
    row("send → received by one, 99th percentile, ms", &|found| {
        found.latencies.p99_ms()
    });
    let resident = columns.iter().map(|column| column.resident).collect();
    rows.push(("resident after all the work, MiB".to_owned(), resident));
    Grid {
        head: head(
            columns,
            &format!("{} consumers that wait", figure(polls::POLLS as f64)),
        ),
        rows,
    }
}

fn notes(columns: &[Column]) -> Vec<String> {
    let mut notes = vec![
        "Bodies are letters and digits. CMQ: requests signed with HmacSHA256 on kept-alive connections, SendMessage, \
         ReceiveMessage, DeleteMessage or their batches; every answer is durable. Native: published with `header.to`, \
         `receive`, `ack`. All at once, at most 4,096 messages are in the queue: where producers are faster than consumers, \
         that many wait, and how long is theirs divided by the rate."
            .to_owned(),
    ];
    let shares: Vec<String> = columns.iter().map(share).collect();
    notes.push(format!(
        "The harness is one thread; all at once it took {} of a core.",
        shares.join(", ")
    ));
    notes
}

fn share(column: &Column) -> String {
    let percent = |phase: &Phase| figure(100.0 * phase.harness_share);
    let (one, batch) = (percent(&column.one.through), percent(&column.batch.through));
    format!("{one} and {batch} % ({})", column.name)
}

fn rabbit_note(column: &Column) -> String {
    format!(
        "RabbitMQ {} in the same run: durable classic queue, persistent messages, publisher confirms, manual \
         acknowledgements; one at a time: one confirm outstanding, prefetch 1; 16 at a time: up to 16 confirms \
         outstanding, prefetch 16, one acknowledgement for all that came together. CPU of its Erlang machine. Its \
         acknowledgements have no answer; ours, and leases, are on disk when they are answered. The harness took {} of a \
         core.",
        rabbit::version(),
        share(column)
    )
}
