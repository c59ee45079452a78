import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A connection that speaks bytes, so that tests see exactly what came. */
export interface Wire {
  send(text: string): void;
  /** All that came so far, once it holds `text`. Rejects when the connection ends before. */
  until(text: string): Promise<string>;
  /** All that came, once the other side has closed; `error` is the code of a reset. */
  end(): Promise<{ readonly text: string; readonly error: string | null }>;
  close(): void;
}

/** Rejects with ECONNREFUSED when nothing listens. */
export async function openWire(port: number): Promise<Wire> {
  const socket: Socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let text = "";
  let error: string | null = null;
  let over = false;
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const look of waiting) look();
  };
  socket.setEncoding("latin1");
  socket.on("data", (chunk) => {
    text += chunk;
    changed();
  });
  socket.on("error", (problem: NodeJS.ErrnoException) => {
    error = problem.code ?? problem.message;
  });
  socket.on("close", () => {
    over = true;
    changed();
  });

  function when<Value>(look: () => Value | null): Promise<Value> {
    return new Promise((resolve, reject) => {
      const again = () => {
        const value = look();
        if (value === null && !over) return;
        waiting.delete(again);
        if (value === null) reject(new Error(`connection over (${error ?? "closed"}) after: ${text}`));
        else resolve(value);
      };
      waiting.add(again);
      again();
    });
  }

  return {
    send: (bytes) => void socket.write(bytes, "latin1"),
    until: (wanted) => when(() => (text.includes(wanted) ? text : null)),
    end: () => when(() => (over ? { text, error } : null)),
    close: () => socket.destroy(),
  };
}

/** Sends a GET and waits for the end of the connection. */
export async function exchangeBytes(
  port: number,
  request: string,
): Promise<{ text: string; error: string | null }> {
  const wire = await openWire(port);
  wire.send(request);
  return wire.end();
}

/** Waits until `holds`; the test's own timeout is the deadline. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
