/**
 * Deadlines that a stalled process does not miss by itself. After a stall (a paused VM, a throttled pod, a long
 * garbage collection) libuv runs expired timers before it reads sockets, so an answer that came in time would
 * count as a timeout and open a fallback. One more poll phase lets such bytes in first.
 */

/** Runs `expire` once, `milliseconds` from now, after sockets had their turn. Stop it with `clear`. */
export function startDeadline(milliseconds: number, expire: () => void): Deadline {
  let immediate: NodeJS.Immediate | null = null;
  const timer = setTimeout(() => {
    immediate = setImmediate(expire);
  }, milliseconds);
  return {
    clear: () => {
      clearTimeout(timer);
      if (immediate) clearImmediate(immediate);
    },
  };
}

export interface Deadline {
  clear(): void;
}
