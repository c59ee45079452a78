/** What the clients of the bench send, what a healthy replica answers them, and how a reply is told from that. */
import type { IncomingHttpHeaders } from "node:http";
import { answer, bytesOf } from "../faults/answers.ts";
import { SUBJECTS, type SubjectName } from "./cells.ts";

const COOKIE = "authentik_proxy_0a1b2c3d";
const USERS = 50;

/** A user with a session; null: a visitor without one. */
export type User = string | null;

/** One of the users and addresses, in turn. */
export function userOf(turn: number): string {
  return `user-${turn % USERS}`;
}

/** Headers of a check, as Traefik sends them. The host tells the replicas which subject has passed it on. */
export function headersOf(subject: SubjectName, user: User, turn: number): Readonly<Record<string, string>> {
  const cookie = user === null ? {} : { Cookie: `${COOKIE}=${user}` };
  return {
    "X-Forwarded-Host": hostOf(subject),
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Uri": "/page",
    "X-Forwarded-For": `198.51.100.${turn % USERS}`,
    ...cookie,
  };
}

export function hostOf(subject: SubjectName): string {
  return `${subject}.example.com`;
}

/** sparekey is the only one that asks on its own behalf, so a head that names nobody is its. */
export function subjectOf(head: string): SubjectName {
  return SUBJECTS.find((name) => head.includes(hostOf(name))) ?? "sparekey";
}

export function userIn(head: string): User {
  return new RegExp(`^cookie: ${COOKIE}=([\\w-]+)\\r$`, "im").exec(head)?.[1] ?? null;
}

export function healthyAnswer(user: User, isLast: boolean): string {
  const close = isLast ? { Connection: "close" } : {};
  if (user !== null) return bytesOf(answer(200, "OK", "", { "X-authentik-username": user, ...close }));
  const login = {
    Location: "https://login.example.com/application/o/authorize/?client_id=app&state=eyJhbGciOiJIUzI1NiJ9",
    "Set-Cookie": `${COOKIE}=state; Path=/; HttpOnly`,
  };
  return bytesOf(answer(302, "Found", "", { ...login, ...close }));
}

/** `verdict`: what a healthy replica says. `fallback`: a login or an allow in place of it. */
export interface Came {
  readonly kind: "verdict" | "fallback" | "error";
  readonly text: string;
}

export function cameOf(status: number, headers: IncomingHttpHeaders, user: User): Came {
  const fallback = headers["x-auth-fallback"];
  if (fallback !== undefined) return { kind: "fallback", text: `${status} ${fallback}` };
  if (status === 401 && headers["www-authenticate"] !== undefined) return { kind: "fallback", text: "401" };
  const name = headers["x-authentik-username"];
  if (status === 200 && user !== null) {
    return name === user ? { kind: "verdict", text: "200" } : { kind: "error", text: `200 for ${name}` };
  }
  if (status === 302 && user === null && headers["set-cookie"] !== undefined) {
    return { kind: "verdict", text: "302" };
  }
  return { kind: "error", text: String(status) };
}
