/** The emergency logins of a process, with the threads that verify passwords. */
import { randomBytes } from "node:crypto";
import { inTime } from "./config/read-file.ts";
import type { HtpasswdEvent } from "./core/types.ts";
import { createLogins, type Logins } from "./io/logins.ts";
import { createPasswordPool, defaultPoolSize } from "./io/password-pool.ts";

export interface LoginsSources {
  onFile(event: HtpasswdEvent): void;
  /** Milliseconds, monotonic. */
  now(): number;
}

export function openLogins({ onFile, now }: LoginsSources): OpenLogins {
  const pool = createPasswordPool({ size: defaultPoolSize() });
  const logins = createLogins({ now, randomBytes, pool, onFile, inTime });
  return {
    ...logins,
    close: () => {
      logins.close();
      return pool.close();
    },
  };
}

export interface OpenLogins extends Omit<Logins, "close"> {
  close(): Promise<void>;
}
