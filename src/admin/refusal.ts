import type { FastifyError, FastifyReply } from "fastify";

/** An error with a message for the person at the keyboard. */
export class Refusal extends Error {
  readonly statusCode: number;
  readonly retryAfterSeconds: number | null;

  constructor(statusCode: number, message: string, retryAfterSeconds: number | null = null) {
    super(message);
    this.statusCode = statusCode;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export const WRONG_LOGIN = "name or password is wrong";

/** Sets everything of the reply but its body. */
export function refusing(reply: FastifyReply, error: Refusal | FastifyError): FastifyReply {
  if (error instanceof Refusal && error.retryAfterSeconds !== null) {
    reply.header("Retry-After", error.retryAfterSeconds);
  }
  // The body may be unread, and closing the connection stops the client from sending all of it.
  return reply.code(error.statusCode ?? 500).header("Connection", "close");
}

export function refusalText(error: Refusal | FastifyError): string {
  const { statusCode = 500, message } = error;
  if (statusCode >= 500 && !(error instanceof Refusal)) return "internal error";
  // The message of @fastify/basic-auth speaks of a header.
  return statusCode === 401 ? WRONG_LOGIN : message;
}
