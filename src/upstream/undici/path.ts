import type { UpstreamRequest } from "../../core/types.ts";
import type { AttemptPath } from "../attempt.ts";
import { UndiciAttempt } from "./attempt.ts";

/** The slow path: undici writes the request and parses the answer. */
export const UNDICI_PATH: AttemptPath<UpstreamRequest> = {
  attempt: (owner, request) => new UndiciAttempt(owner, request),
};
