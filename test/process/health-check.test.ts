/** Where the image's health check asks. test/image/image.test.ts runs it in a container. */
import t from "tap";
import { listenersIn } from "../../src/process/health-check.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

function lineOf(local: string, state = "0A", uid = 65532): string {
  const remote = local.replace(/[0-9A-F]/g, "0");
  return `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 34803898 1 00000000c042e26a 100 0 0 10 0\n`;
}

/** Tables as Linux writes them on a machine with the lowest byte first. */
const ROWS: readonly (readonly [name: string, line: string, found: readonly string[]])[] = [
  ["one address", lineOf("0100007F:2382"), ["127.0.0.1 9090"]],
  ["an address of several numbers", lineOf("0B02000A:1F90"), ["10.0.2.11 8080"]],
  ["all of IPv4", lineOf("00000000:2328"), ["127.0.0.1 9000"]],
  ["all of IPv6", lineOf("00000000000000000000000000000000:2328"), ["::1 9000"]],
  [
    "the IPv6 loopback",
    lineOf("00000000000000000000000001000000:2382"),
    ["0000:0000:0000:0000:0000:0000:0000:0001 9090"],
  ],
  [
    "an IPv6 address",
    lineOf("B80D0120000000000000000001000000:2382"),
    ["2001:0db8:0000:0000:0000:0000:0000:0001 9090"],
  ],
  ["a connection", lineOf("0100007F:2382", "01"), []],
  ["another user's", lineOf("0100007F:2382", "0A", 0), []],
  ["nothing", "", []],
];

t.test("the listeners of a user", async (t) => {
  for (const [name, line, found] of ROWS) {
    const listeners = listenersIn(HEAD + line, 65532);
    t.same(
      listeners.map(({ host, port }) => `${host} ${port}`),
      found,
      name,
    );
  }
  t.equal(listenersIn(HEAD + ROWS.map(([, line]) => line).join(""), 65532).length, 6);
  t.same(listenersIn("", 65532), [], "without IPv6 there is no table of it");
});
