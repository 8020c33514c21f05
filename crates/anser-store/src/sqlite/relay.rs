//! Answers of one commit on their way to their callers. A caller woken from the writer's thread costs a system call, so
//! all answers of a commit go to one task beside the callers, which hands them on without any. Must not hold an answer
//! back: where there is no such task, the writer's thread hands them on itself.

use std::sync::OnceLock;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// An answer and where it goes.
type Addressed<T> = (oneshot::Sender<T>, T);

/// The way from the writer to the callers.
#[derive(Debug)]
pub(super) struct Relay<T> {
    task: OnceLock<mpsc::UnboundedSender<Vec<Addressed<T>>>>,
}

impl<T> Default for Relay<T> {
    fn default() -> Self {
        Self {
            task: OnceLock::new(),
        }
    }
}

impl<T: Send + 'static> Relay<T> {
    /// Makes sure that there is a task to hand answers on, on the caller's runtime. It ends with the store.
    pub(super) fn start(&self) {
        self.task.get_or_init(|| {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            Handle::current().spawn(async move {
                while let Some(answers) = receiver.recv().await {
                    hand_on(answers);
                }
            });
            sender
        });
    }

    /// Answers the callers of one commit.
    pub(super) fn deliver(&self, answers: Vec<Addressed<T>>) {
        match self.task.get() {
            Some(task) if answers.len() > 1 => {
                // The runtime of the task may have ended before that of these callers.
                if let Err(unsent) = task.send(answers) {
                    hand_on(unsent.0);
                }
            }
            _ => hand_on(answers),
        }
    }
}

fn hand_on<T>(answers: Vec<Addressed<T>>) {
    for (caller, answer) in answers {
        // Nobody waits any more when the caller gave up; what was done stays done.
        drop(caller.send(answer));
    }
}
