import { Socket } from "node:net";
import t from "tap";
import { OpenSockets } from "../../src/gateway/open-sockets.ts";

t.test("a connection is counted until it closes, on either path", async (t) => {
  const sockets = new OpenSockets();
  const told: string[] = [];
  const [fast, slow] = [sockets.add(new Socket(), 1), sockets.add(new Socket(), 2)];
  fast.fast = { closeIfLate: () => {}, closed: () => told.push("fast") };
  slow.fast = { closeIfLate: () => {}, closed: () => told.push("slow") };
  sockets.giveToFastify(slow);
  t.equal(slow.fast, null);
  t.equal(sockets.useOf(slow.socket), slow);
  t.same(sockets.useOf(fast.socket), { inFlight: 0, since: 0 }, "the slow path does not know it");
  const seen: unknown[] = [];
  sockets.each((use) => seen.push(use));
  t.same([seen.length, seen[0] === fast, sockets.count], [2, true, 2]);
  for (const { socket } of [fast, slow]) socket.emit("close");
  t.equal(sockets.count, 0);
  t.same(told, ["fast"], "only the fast path is told");
});
