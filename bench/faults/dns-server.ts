/** A small name server (RFC 1035). It answers the addresses of a name, or the failure that the name is set to. */
import { createSocket } from "node:dgram";
import { once } from "node:events";

export type Failure = "nxdomain" | "servfail" | "silence";
/** `address`: the one address that the server was started with. A list: these, in another order at each answer. */
export type Behaviour = "address" | Failure | readonly string[];

export interface DnsServer {
  /** Lower case, without the root's dot. A name that was never set does not exist. */
  set(name: string, behaviour: Behaviour): void;
  close(): void;
}

const NO_ERROR = 0;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const TYPE_A = 1;
const HEADER_BYTES = 12;
const TTL_SECONDS = 1;

/** `address`: the IPv4 address of every name that is set to `address`. */
export async function startDnsServer(host: string, port: number, address: string): Promise<DnsServer> {
  const names = new Map<string, readonly string[] | Failure>();
  let answered = 0;
  const socket = createSocket("udp4");
  socket.on("message", (query, { address: from, port: back }) => {
    const question = questionOf(query);
    if (question === null) return;
    const behaviour = names.get(question.name) ?? "nxdomain";
    if (behaviour === "silence") return;
    answered += 1;
    const said = typeof behaviour === "string" ? behaviour : rotated(behaviour, answered);
    socket.send(answerTo(query, question, said), back, from);
  });
  socket.bind(port, host);
  await once(socket, "listening");
  return {
    set: (name, behaviour) => names.set(name, behaviour === "address" ? [address] : behaviour),
    close: () => socket.close(),
  };
}

interface Question {
  readonly name: string;
  readonly type: number;
  /** The offset of its end in the query. */
  readonly end: number;
}

function questionOf(query: Buffer): Question | null {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length).toLowerCase());
    at += length + 1;
  }
  const end = at + 5;
  if (query.length < end) return null;
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end };
}

function answerTo(
  query: Buffer,
  question: Question,
  said: readonly string[] | "nxdomain" | "servfail",
): Buffer {
  const code = typeof said !== "string" ? NO_ERROR : { nxdomain: NXDOMAIN, servfail: SERVFAIL }[said];
  const records = typeof said !== "string" && question.type === TYPE_A ? said.map(addressRecord) : [];
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // The flags say: an answer, recursion desired and available. The code follows.
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(HEADER_BYTES, question.end), ...records]);
}

function rotated(addresses: readonly string[], by: number): readonly string[] {
  const start = by % addresses.length;
  return [...addresses.slice(start), ...addresses.slice(0, start)];
}

function addressRecord(address: string): Buffer {
  const record = Buffer.alloc(16);
  // The name is a pointer to the name of the question.
  record.writeUInt16BE(0xc00c, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(TTL_SECONDS, 6);
  record.writeUInt16BE(4, 10);
  for (const [index, part] of address.split(".").entries()) record[12 + index] = Number(part);
  return record;
}
