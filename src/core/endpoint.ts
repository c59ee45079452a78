/** An endpoint of an upstream, as the decisions and the operator see it: one address and port. */
import type { FaultReason } from "./types.ts";

/** Why a check is asked once more: `retry` after a failed attempt, `hedge` beside a slow one. */
export type AttemptKind = "retry" | "hedge";

/** Which checks an endpoint is not asked for. `cookieless`: only those without a cookie. */
export type EjectedFrom = "all" | "cookieless";

/** `slow`: it answers, but far more slowly than the others. */
export type EjectionReason = FaultReason | "slow";

export interface EndpointStatus {
  /** Address and port, as in "10.0.3.7:9000". */
  readonly endpoint: string;
  /** null: it is asked. */
  readonly ejected: {
    readonly from: EjectedFrom;
    readonly reason: EjectionReason;
    /** Milliseconds of the monotonic clock. */
    readonly since: number;
  } | null;
}

export type EndpointChange =
  | {
      readonly kind: "ejected";
      readonly endpoint: string;
      readonly from: EjectedFrom;
      readonly reason: EjectionReason;
    }
  /** It is asked again. */
  | {
      readonly kind: "restored";
      readonly endpoint: string;
      readonly from: EjectedFrom;
      readonly seconds: number;
    }
  /** The name of the upstream has this address now, or has it no longer. */
  | { readonly kind: "joined" | "left"; readonly endpoint: string };
