export interface RetryPolicy {
  attempts: number;
  baseDelay: number;
  maxDelay: number;
  /** Fraction of the delay that may be randomly removed, 0 to 1. */
  jitter: number;
  timeout: number;
}

export type Task<T> = (context: { attempt: number; signal: AbortSignal }) => Promise<T>;

export const DEFAULT_POLICY: RetryPolicy = {
  attempts: 4,
  baseDelay: 200,
  maxDelay: 5_000,
  jitter: 0.3,
  timeout: 10_000,
};

/** Thrown by a task to say that trying again cannot help. */
export class PermanentError extends Error {
  readonly name = "PermanentError";
}

export class TimeoutError extends Error {
  readonly name = "TimeoutError";
}

export class AttemptsExhausted extends Error {
  readonly name = "AttemptsExhausted";

  constructor(readonly errors: readonly unknown[]) {
    super(`gave up after ${errors.length} attempts: ${describe(errors[errors.length - 1])}`);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function backoffDelay(policy: RetryPolicy, attempt: number, random = Math.random): number {
  const exponential = policy.baseDelay * 2 ** (attempt - 1);
  const capped = Math.min(exponential, policy.maxDelay);
  return Math.round(capped * (1 - policy.jitter * random()));
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function runOnce<T>(task: Task<T>, attempt: number, timeout: number): Promise<T> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort();
      reject(new TimeoutError(`attempt ${attempt} took longer than ${timeout} ms`));
    }, timeout);
  });
  try {
    return await Promise.race([task({ attempt, signal: controller.signal }), expiry]);
  } finally {
    clearTimeout(timer);
  }
}

export async function retry<T>(task: Task<T>, overrides: Partial<RetryPolicy> = {}): Promise<T> {
  const policy: RetryPolicy = { ...DEFAULT_POLICY, ...overrides };
  const errors: unknown[] = [];
  for (let attempt = 1; attempt <= policy.attempts; attempt++) {
    try {
      return await runOnce(task, attempt, policy.timeout);
    } catch (error) {
      if (error instanceof PermanentError) throw error;
      errors.push(error);
    }
    if (attempt < policy.attempts) await sleep(backoffDelay(policy, attempt));
  }
  throw new AttemptsExhausted(errors);
}

interface Job {
  priority: number;
  sequence: number;
  start: () => Promise<void>;
}

/** Runs retried tasks with bounded concurrency, highest priority first. */
export class RetryScheduler {
  private readonly waiting: Job[] = [];
  private idleWaiters: Array<() => void> = [];
  private active = 0;
  private sequence = 0;

  constructor(
    private readonly concurrency: number,
    private readonly policy: Partial<RetryPolicy> = {},
  ) {
    if (concurrency < 1) throw new RangeError("concurrency must be at least 1");
  }

  get pending(): number {
    return this.waiting.length + this.active;
  }

  schedule<T>(task: Task<T>, priority = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const start = () => retry(task, this.policy).then(resolve, reject);
      this.waiting.push({ priority, sequence: this.sequence++, start });
      this.waiting.sort((a, b) => b.priority - a.priority || a.sequence - b.sequence);
      this.pump();
    });
  }

  /** Resolves once nothing is queued or running. */
  drain(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private pump(): void {
    while (this.active < this.concurrency) {
      const job = this.waiting.shift();
      if (job === undefined) break;
      this.active += 1;
      void job.start().then(() => {
        this.active -= 1;
        this.pump();
      });
    }
    if (this.pending === 0) {
      const waiters = this.idleWaiters;
      this.idleWaiters = [];
      waiters.forEach((wake) => wake());
    }
  }
}
