//! A cooperative scheduler for recurring maintenance jobs, driven by an explicit clock.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    Background,
    Normal,
    Urgent,
}

/// What a job wants to happen once it has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Finish,
    RepeatAfter(Duration),
}

type Action = Box<dyn FnMut(Duration) -> Next + Send>;

struct Job {
    id: JobId,
    due: Duration,
    priority: Priority,
    action: Action,
}

impl Job {
    // Earlier jobs go first; among jobs due together the more important one does, and
    // after that the one that was registered first.
    fn rank(&self) -> (Duration, Reverse<Priority>, u64) {
        (self.due, Reverse(self.priority), self.id.0)
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[derive(Default)]
pub struct JobScheduler {
    now: Duration,
    next_id: u64,
    queue: BinaryHeap<Reverse<Job>>,
    live: HashSet<JobId>,
}

impl JobScheduler {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn schedule<F>(&mut self, delay: Duration, priority: Priority, action: F) -> JobId
    where
        F: FnMut(Duration) -> Next + Send + 'static,
    {
        let id = JobId(self.next_id);
        self.next_id += 1;
        self.live.insert(id);
        self.queue.push(Reverse(Job {
            id,
            due: self.now + delay,
            priority,
            action: Box::new(action),
        }));
        id
    }

    /// Returns `false` when the job had already finished or been cancelled.
    ///
    /// The queue entry stays where it is and is thrown away when it reaches the front.
    pub fn cancel(&mut self, id: JobId) -> bool {
        self.live.remove(&id)
    }

    pub fn pending(&self) -> usize {
        self.live.len()
    }

    /// When the next job is due, so that the caller knows how long it may sleep.
    pub fn next_due(&mut self) -> Option<Duration> {
        self.discard_cancelled();
        self.queue.peek().map(|Reverse(job)| job.due)
    }

    /// Moves the clock forward and runs every job that falls due on the way.
    pub fn advance_to(&mut self, target: Duration) -> usize {
        let mut runs = 0;
        while self.next_due().is_some_and(|due| due <= target) {
            let Some(Reverse(mut job)) = self.queue.pop() else { break };
            self.now = self.now.max(job.due);
            runs += 1;
            match (job.action)(self.now) {
                Next::Finish => {
                    self.live.remove(&job.id);
                }
                Next::RepeatAfter(delay) => {
                    // A zero delay would keep this loop from ever moving on.
                    job.due = self.now + delay.max(Duration::from_millis(1));
                    self.queue.push(Reverse(job));
                }
            }
        }
        self.now = self.now.max(target);
        runs
    }

    fn discard_cancelled(&mut self) {
        while let Some(Reverse(job)) = self.queue.peek() {
            if self.live.contains(&job.id) {
                break;
            }
            self.queue.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_jobs_run_until_cancelled() {
        let mut scheduler = JobScheduler::new();
        let every_two = |_| Next::RepeatAfter(Duration::from_secs(2));
        let id = scheduler.schedule(Duration::ZERO, Priority::Normal, every_two);
        assert_eq!(scheduler.advance_to(Duration::from_secs(6)), 4);
        assert!(scheduler.cancel(id));
        assert!(!scheduler.cancel(id));
        assert_eq!(scheduler.next_due(), None);
    }
}
