import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import t, { type Test } from "tap";
import { refuseMalformed } from "../../src/http/refuse-malformed.ts";

/** What a client reads, once `refuse` had its socket. */
async function read(t: Test, refuse: (socket: Socket) => void): Promise<string> {
  const server = createServer(refuse).listen(0, "127.0.0.1");
  t.teardown(() => server.close());
  await once(server, "listening");
  const address = server.address();
  const client = connect(typeof address === "object" ? (address?.port ?? 0) : 0, "127.0.0.1");
  return text(client);
}

const failed = (code: string): Error => Object.assign(new Error(code), { code });

t.test("the status", async (t) => {
  const rows = [
    { name: "not HTTP", error: failed("HPE_INVALID_METHOD"), status: "400 Bad Request" },
    { name: "no code at all", error: new Error("odd"), status: "400 Bad Request" },
    {
      name: "too large",
      error: failed("HPE_HEADER_OVERFLOW"),
      status: "431 Request Header Fields Too Large",
    },
    { name: "too slow", error: failed("ERR_HTTP_REQUEST_TIMEOUT"), status: "408 Request Timeout" },
  ];
  for (const { name, error, status } of rows) {
    const reply = await read(t, (socket) => refuseMalformed(error, socket, false));
    t.match(reply, new RegExp(`^HTTP/1.1 ${status}\r\n[^]*\r\nConnection: close\r\n\r\n$`), name);
  }
});

t.test("a request that still waits gets no reply that is not its own", async (t) => {
  t.equal(await read(t, (socket) => refuseMalformed(new Error("odd"), socket, true)), "");
});
