/** What a primary process and its workers say to each other. All of it is data that the structured clone takes. */
import type { PackedSnapshot } from "../core/packed-snapshot.ts";
import type { ProbeResult } from "../core/probe.ts";
import type { Address, Drain } from "../core/snapshot.ts";
import type { Credentials, LoginResult, OverrideMode } from "../core/types.ts";
import type { LoginPolicy } from "../login/logins.ts";
import type { Event } from "../observe/event.ts";
import type { ProcessReport } from "../observe/report.ts";

/** A `WorkerReply` with the same `id` answers it. */
export type WorkerRequest =
  | { readonly kind: "prepare"; readonly packed: PackedSnapshot }
  | { readonly kind: "report" }
  | { readonly kind: "probe"; readonly route: string }
  | { readonly kind: "drain"; readonly rules: Drain };

export type ToWorker =
  | (WorkerRequest & { readonly id: number })
  /** Takes what was prepared last into use. */
  | { readonly kind: "use" }
  | { readonly kind: "undo" }
  /** `mode` null: the config decides again. */
  | {
      readonly kind: "override";
      readonly route: string;
      readonly mode: OverrideMode | null;
      readonly milliseconds: number;
    }
  | { readonly kind: "login"; readonly id: number; readonly result: LoginResult }
  | { readonly kind: "close" };

export interface LoginRequest {
  readonly route: string;
  readonly policy: LoginPolicy;
  readonly credentials: Credentials | null;
  readonly address: string;
}

export type WorkerReply =
  | { readonly kind: "prepared" }
  /** An address cannot be had. */
  | { readonly kind: "refused"; readonly address: Address; readonly code: string }
  | { readonly kind: "defect" }
  | { readonly kind: "report"; readonly report: ProcessReport }
  | { readonly kind: "probed"; readonly results: readonly ProbeResult[] }
  | { readonly kind: "drained"; readonly left: number };

export type ToPrimary =
  | { readonly kind: "answer"; readonly id: number; readonly answer: WorkerReply }
  | { readonly kind: "event"; readonly event: Event }
  | ({ readonly kind: "login"; readonly id: number } & LoginRequest);
