/**
 * The messages for one target, in a bounded queue. They are sent in order, and each is tried again until it is
 * `KEPT_MS` old.
 */
import type { Ask } from "../core/ask.ts";
import { LinkedList } from "../core/linked-list.ts";
import { deliveryOf, KEPT_MS, messageRequest, originText, waitAfter } from "../core/notify.ts";
import type { NotifyTarget } from "../core/snapshot.ts";
import type { NotifyEvent, NotifyReason, Outcome } from "../core/types.ts";

export interface DeliveryQueueDeps {
  readonly ask: Ask;
  onEvent(event: NotifyEvent): void;
  readonly userAgent: string;
  /** Milliseconds, monotonic. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  /** Calls `run` once; the result cancels that. It must not keep the process alive. */
  later(milliseconds: number, run: () => void): () => void;
}

interface Message {
  readonly text: string;
  readonly since: number;
}

const MOST_WAITING = 64;

/** Owns the waiting messages, and the exchange that is on its way, until `close`. */
export class DeliveryQueue {
  readonly #deps: DeliveryQueueDeps;
  readonly #stop = new AbortController();
  #target: NotifyTarget;
  #entry: number;
  #queue: Message[] = [];
  #isSending = false;
  #cancelWait: (() => void) | null = null;
  #failures = 0;
  /** The last event said that messages do not get through. */
  #isFailing = false;
  #lost = 0;
  #whenDone: (() => void) | null = null;

  constructor(target: NotifyTarget, entry: number, deps: DeliveryQueueDeps) {
    this.#target = target;
    this.#entry = entry;
    this.#deps = deps;
  }

  /** A new config has the same URL, perhaps with other headers or at another place. */
  retarget(target: NotifyTarget, entry: number): void {
    this.#target = target;
    this.#entry = entry;
  }

  /** Returns before anything is sent. */
  push(text: string): void {
    if (this.#queue.length >= MOST_WAITING) {
      // The oldest message is dropped, but not the one on its way, which may have arrived already.
      this.#queue.splice(this.#isSending ? 1 : 0, 1);
      this.#lost += 1;
    }
    this.#queue.push({ text, since: this.#deps.now() });
    if (!this.#isSending && this.#cancelWait === null) this.#sendIn(0);
  }

  /** Sends the waiting messages now. Resolves when all are delivered, or when the first one has failed once more. */
  finish(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenDone = resolve;
      this.#cancelWait?.();
      this.#cancelWait = null;
      if (!this.#isSending) void this.#send();
    });
  }

  close(reason: NotifyReason): void {
    this.#cancelWait?.();
    this.#stop.abort();
    const left = this.#queue.splice(0).length;
    if (left > 0) this.#giveUp(left, reason);
  }

  #sendIn(milliseconds: number): void {
    this.#cancelWait = this.#deps.later(milliseconds, () => {
      this.#cancelWait = null;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const [message] = this.#queue;
    if (message === undefined) return this.#whenDone?.();
    this.#isSending = true;
    const outcome = await this.#ask(message);
    this.#isSending = false;
    if (this.#stop.signal.aborted) return this.#whenDone?.();
    const delivery = deliveryOf(outcome);
    if (delivery.kind === "failed") return this.#retry(delivery.reason);
    this.#queue.shift();
    this.#failures = 0;
    if (delivery.kind === "delivered") this.#works();
    else this.#giveUp(1, delivery.reason);
    this.#next();
  }

  async #ask({ text }: Message): Promise<Outcome> {
    const { ask, userAgent } = this.#deps;
    const request = messageRequest(this.#target, text, userAgent);
    const outcome = await ask(this.#target.upstream, request, this.#stop.signal, new LinkedList());
    if (outcome.kind === "answer" && outcome.answer.body.kind === "stream") outcome.answer.body.cancel();
    return outcome;
  }

  #next(): void {
    if (this.#whenDone) void this.#send();
    else if (this.#queue.length > 0) this.#sendIn(0);
  }

  #retry(reason: NotifyReason): void {
    this.#failures += 1;
    if (!this.#isFailing) this.#report({ kind: "failing", reason });
    this.#isFailing = true;
    const wait = waitAfter(this.#failures, this.#deps.random());
    const oldest = this.#deps.now() + wait - KEPT_MS;
    const waiting = this.#queue.length;
    this.#queue = this.#queue.filter(({ since }) => since >= oldest);
    const expired = waiting - this.#queue.length;
    if (expired > 0) this.#giveUp(expired, reason);
    if (this.#whenDone) this.#whenDone();
    else if (this.#queue.length > 0) this.#sendIn(wait);
  }

  #works(): void {
    const isEvent = this.#isFailing || this.#lost > 0;
    this.#isFailing = false;
    if (isEvent) this.#report({ kind: "working", lost: this.#takeLost() });
  }

  #giveUp(messages: number, reason: NotifyReason): void {
    this.#lost += messages;
    this.#isFailing = true;
    this.#report({ kind: "given_up", reason, lost: this.#takeLost() });
  }

  #takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  #report(
    what:
      | { kind: "failing"; reason: NotifyReason }
      | { kind: "working"; lost: number }
      | { kind: "given_up"; reason: NotifyReason; lost: number },
  ): void {
    this.#deps.onEvent({ origin: originText(this.#target.upstream), entry: this.#entry, ...what });
  }
}
