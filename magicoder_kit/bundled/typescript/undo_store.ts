export type Listener<P> = (payload: P) => void;
export type Unsubscribe = () => void;

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<Listener<never>>>();

  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): Unsubscribe {
    let bucket = this.listeners.get(event);
    if (bucket === undefined) {
      bucket = new Set();
      this.listeners.set(event, bucket);
    }
    bucket.add(listener);
    return () => {
      this.listeners.get(event)?.delete(listener);
    };
  }

  once<K extends keyof Events>(event: K, listener: Listener<Events[K]>): Unsubscribe {
    const off = this.on(event, (payload) => {
      off();
      listener(payload);
    });
    return off;
  }

  protected emit<K extends keyof Events>(event: K, payload: Events[K]): void {
    const bucket = this.listeners.get(event);
    if (bucket === undefined) return;
    // Copy first: a listener may unsubscribe itself while we iterate.
    for (const listener of Array.from(bucket)) {
      (listener as Listener<Events[K]>)(payload);
    }
  }
}

export interface StoreEvents<S> {
  change: { previous: S; current: S; label: string };
  history: { undoable: number; redoable: number };
}

interface Step<S> {
  label: string;
  state: S;
}

export type Updater<S> = (state: Readonly<S>) => S;

export class UndoStore<S> extends Emitter<StoreEvents<S>> {
  private past: Step<S>[] = [];
  private future: Step<S>[] = [];
  private transaction: { label: string; start: S } | null = null;

  constructor(private current: S, private readonly limit = 100) {
    super();
    if (limit < 1) throw new RangeError("history limit must be at least 1");
  }

  get state(): Readonly<S> {
    return this.current;
  }

  update(label: string, updater: Updater<S>): void {
    const previous = this.current;
    const next = updater(previous);
    if (Object.is(previous, next)) return;
    this.current = next;
    if (this.transaction === null) this.record(label, previous);
    this.emit("change", { previous, current: next, label });
  }

  /** Groups every update made inside `body` into one undoable step. */
  batch(label: string, body: () => void): void {
    if (this.transaction !== null) {
      body();
      return;
    }
    const start = this.current;
    this.transaction = { label, start };
    try {
      body();
    } catch (error) {
      const failed = this.current;
      this.current = start;
      this.transaction = null;
      if (!Object.is(failed, start)) {
        this.emit("change", { previous: failed, current: start, label: `rollback ${label}` });
      }
      throw error;
    }
    this.transaction = null;
    if (!Object.is(start, this.current)) this.record(label, start);
  }

  undo(): boolean {
    return this.travel(this.past, this.future, "undo");
  }

  redo(): boolean {
    return this.travel(this.future, this.past, "redo");
  }

  private travel(from: Step<S>[], to: Step<S>[], verb: string): boolean {
    if (this.transaction !== null) throw new Error(`cannot ${verb} inside a batch`);
    const step = from.pop();
    if (step === undefined) return false;
    const previous = this.current;
    to.push({ label: step.label, state: previous });
    this.current = step.state;
    this.emit("change", { previous, current: step.state, label: `${verb} ${step.label}` });
    this.announceHistory();
    return true;
  }

  private record(label: string, state: S): void {
    this.past.push({ label, state });
    if (this.past.length > this.limit) this.past.shift();
    this.future = [];
    this.announceHistory();
  }

  private announceHistory(): void {
    this.emit("history", { undoable: this.past.length, redoable: this.future.length });
  }
}
