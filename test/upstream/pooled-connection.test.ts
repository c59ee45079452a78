import t from "tap";
import { Endpoint } from "../../src/upstream/endpoint.ts";
import { type ConnectionKind, ConnectionRecord, type Pooled } from "../../src/upstream/pooled-connection.ts";

const KIND: ConnectionKind<Pooled> = {
  reading: "stream",
  create: () => {
    throw new Error("no connection is opened here");
  },
  isOne: (connection): connection is Pooled => connection !== null,
};

const rows = [
  { name: "one that works", slow: 0, isSpent: false, hasLeft: false, is: true },
  { name: "two slow answers in a row", slow: 2, isSpent: false, hasLeft: false, is: true },
  { name: "three slow answers in a row", slow: 3, isSpent: false, hasLeft: false, is: false },
  { name: "one that is spent", slow: 0, isSpent: true, hasLeft: false, is: false },
  { name: "one to an endpoint that has left", slow: 0, isSpent: false, hasLeft: true, is: false },
];
for (const { name, slow, isSpent, hasLeft, is } of rows) {
  t.test(`whether a connection may be kept: ${name}`, async (t) => {
    const endpoint = new Endpoint({ host: "outpost", port: 9000 }, "192.0.2.1");
    const record = new ConnectionRecord(endpoint, KIND, 300_000);
    Object.assign(record, { slow, isSpent });
    endpoint.hasLeft = hasLeft;
    t.equal(record.mayBeKept, is);
  });
}
