import type { UpstreamRequest } from "../../core/types.ts";
import type { Path } from "../attempt.ts";
import { UndiciAttempt } from "./attempt.ts";

/** The slow path: undici writes the request and parses the answer. */
export const UNDICI_PATH: Path<UpstreamRequest> = {
  attempt: (owner, request) => new UndiciAttempt(owner, request),
};
