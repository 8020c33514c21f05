//! A webhook receiver that answers as told and remembers what it got. Speaks HTTP/1.1 by hand, so that it can also do
//! what no decent server would: hang, close, reset, break off in the middle.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anser_core::clock::{Clock as _, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::DEADLINE;

/// What [`Receiver::drained`] asks for.
const PROBE: &str = "/drained";

/// One request as received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// When its last byte came, since the receiver was started.
    pub(crate) at: Duration,
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
    /// Its method.
    pub(crate) method: String,
    /// Its target, with the query.
    pub(crate) path: String,
    /// Its headers, names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// A header's value; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status without a body.
    Status(u16),
    /// A status with headers and a body.
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, with the connection kept open until the other side closes it.
    Hang,
    /// Nothing, with the connection closed.
    Close,
    /// Nothing, with the connection reset.
    Reset,
    /// These bytes as they are, then the connection is closed.
    Raw(Vec<u8>),
}

/// Answers by what was received; `None` leaves it to the script.
type Rule = Box<dyn FnMut(&Received) -> Option<Answer> + Send>;

#[derive(Default)]
struct Book {
    received: Vec<Received>,
    /// Rules by path, asked first.
    rules: HashMap<String, Rule>,
    /// Answers by path, used up in order.
    scripts: HashMap<String, VecDeque<Answer>>,
    /// Answers by path once the script is used up; otherwise 200.
    defaults: HashMap<String, Answer>,
    connections: usize,
    /// Connections that are open now.
    open: usize,
}

struct Shared {
    clock: SystemClock,
    book: Mutex<Book>,
    count: watch::Sender<usize>,
}

/// A receiver; its port is closed when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// On a free port; answers 200 until told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener)
    }

    /// A port that refuses connections until [`Reserved::open`].
    pub(crate) fn reserve() -> Reserved {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Reserved(socket)
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            clock: SystemClock::new(),
            book: Mutex::new(Book::default()),
            count: watch::Sender::new(0),
        });
        let task = start(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    /// A URL on it; the path begins with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers so from now on, once the path's script is used up.
    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.book(|book| book.defaults.insert(path.to_owned(), answer));
    }

    /// Answers the next requests to a path with these, in order.
    pub(crate) fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.book(|book| {
            book.scripts
                .entry(path.to_owned())
                .or_default()
                .extend(answers);
        });
    }

    /// Asks `rule` first what to answer to requests to a path.
    pub(crate) fn rule(
        &self,
        path: &str,
        rule: impl FnMut(&Received) -> Option<Answer> + Send + 'static,
    ) {
        self.book(|book| book.rules.insert(path.to_owned(), Box::new(rule)));
    }

    /// What came to a path so far, in order.
    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        self.book(|book| {
            let mine = book.received.iter().filter(|request| request.path == path);
            mine.cloned().collect()
        })
    }

    /// What came so far and was not taken yet, in order; it is forgotten here.
    pub(crate) fn take(&self) -> Vec<Received> {
        self.book(|book| std::mem::take(&mut book.received))
    }

    /// Waits until everything is read that was sent by others who have hung up since.
    pub(crate) async fn drained(&self) {
        // Connections are taken in their order: once this one is answered, no earlier one is left out.
        let mut probe = TcpStream::connect(self.address).await.unwrap();
        probe
            .write_all(format!("GET {PROBE} HTTP/1.1\r\n\r\n").as_bytes())
            .await
            .unwrap();
        probe.read_u8().await.unwrap();
        drop(probe);
        let mut count = self.shared.count.subscribe();
        let closed = tokio::time::timeout(DEADLINE, async {
            while self.book(|book| book.open) > 0 {
                count.changed().await.unwrap();
            }
        });
        assert!(closed.await.is_ok(), "somebody does not hang up");
        self.book(|book| book.received.retain(|request| request.path != PROBE));
    }

    /// How many connections were taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.book(|book| book.connections)
    }

    /// Waits until `enough` of what came to a path, and answers it.
    pub(crate) async fn until(
        &self,
        what: &str,
        path: &str,
        enough: impl Fn(&[Received]) -> bool,
    ) -> Vec<Received> {
        let mut count = self.shared.count.subscribe();
        let wait = async {
            loop {
                let received = self.received(path);
                if enough(&received) {
                    return received;
                }
                count.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(received) => received,
            Err(_) => panic!(
                "not within {DEADLINE:?}: {what}; received {:?}",
                self.received(path)
            ),
        }
    }

    /// Waits for at least `count` requests to a path.
    pub(crate) async fn count(&self, path: &str, count: usize) -> Vec<Received> {
        let what = format!("{count} requests to {path}");
        self.until(&what, path, |received| received.len() >= count)
            .await
    }

    fn book<T>(&self, with: impl FnOnce(&mut Book) -> T) -> T {
        with(&mut self.shared.book.lock().unwrap())
    }
}

/// A port nobody else gets, where connections are refused.
pub(crate) struct Reserved(TcpSocket);

impl Reserved {
    /// The URL it will have.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.local_addr().unwrap())
    }

    /// Takes connections from now on.
    pub(crate) fn open(self) -> Receiver {
        Receiver::on(self.0.listen(1024).unwrap())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the receiver's tasks end with the test's runtime"
)]
fn start(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut book = shared.book.lock().unwrap();
            book.connections += 1;
            book.open += 1;
            book.connections - 1
        };
        let shared = Arc::clone(&shared);
        start(async move {
            serve(stream, number, &shared).await;
            shared.book.lock().unwrap().open -= 1;
            shared.count.send_modify(|count| *count += 1);
        });
    }
}

/// One connection, request after request.
async fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) {
    let mut buffer = Vec::new();
    while let Some(mut request) = read(&mut stream, &mut buffer).await {
        request.connection = connection;
        request.at = shared.clock.monotonic();
        let answer = {
            let mut guard = shared.book.lock().unwrap();
            let book = &mut *guard;
            let ruled = book
                .rules
                .get_mut(&request.path)
                .and_then(|rule| rule(&request));
            let scripted = || {
                book.scripts
                    .get_mut(&request.path)
                    .and_then(VecDeque::pop_front)
            };
            let answer = ruled
                .or_else(scripted)
                .or_else(|| book.defaults.get(&request.path).cloned());
            book.received.push(request);
            answer.unwrap_or(Answer::Status(200))
        };
        shared.count.send_modify(|count| *count += 1);
        if !reply(&mut stream, answer).await {
            return;
        }
    }
}

/// Answers; false when the connection is over.
async fn reply(stream: &mut TcpStream, answer: Answer) -> bool {
    let (status, headers, body) = match answer {
        Answer::Status(status) => (status, Vec::new(), Vec::new()),
        Answer::Full(status, headers, body) => (status, headers, body),
        Answer::Hang => {
            drop(stream.read(&mut [0]).await);
            return false;
        }
        Answer::Close => return false,
        Answer::Reset => {
            stream.set_zero_linger().unwrap();
            return false;
        }
        Answer::Raw(bytes) => {
            drop(stream.write_all(&bytes).await);
            return false;
        }
    };
    let mut head = format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let bytes = [head.into_bytes(), body].concat();
    stream.write_all(&bytes).await.is_ok()
}

/// The next request; `None` when the connection is over.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < head_end + length {
        more(stream, buffer).await?;
    }
    let rest = buffer.split_off(head_end + length);
    let body = buffer.split_off(head_end);
    *buffer = rest;
    Some(Received {
        at: Duration::ZERO,
        connection: 0,
        method,
        path,
        headers,
        body,
    })
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(read) if read > 0 => Some(()),
        _ => None,
    }
}
