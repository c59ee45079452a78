import t from "tap";
import { addressText } from "../../src/core/address-text.ts";

const rows = [
  { host: "outpost", port: 9000, text: "outpost:9000" },
  { host: "127.0.0.1", port: 80, text: "127.0.0.1:80" },
  { host: "2001:db8::1", port: 81, text: "[2001:db8::1]:81" },
];
for (const { host, port, text } of rows) {
  t.test(text, async (t) => {
    t.equal(addressText({ host, port }), text);
  });
}
