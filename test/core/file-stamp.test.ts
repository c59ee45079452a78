import t from "tap";
import { fileStamp } from "../../src/core/file-stamp.ts";

const STATS = {
  dev: 1n,
  ino: 23n,
  mtimeNs: 1_700_000_000_000_000_001n,
  ctimeNs: 1_700_000_000_000_000_001n,
  size: 5n,
};

t.test("the same file is the same stamp", async (t) => t.equal(fileStamp({ ...STATS }), fileStamp(STATS)));

const changes: readonly { readonly name: string; readonly stats: Partial<typeof STATS> }[] = [
  { name: "a mount in its place", stats: { dev: 2n } },
  { name: "a file moved to its place", stats: { ino: 24n } },
  { name: "a write within the same microsecond", stats: { mtimeNs: STATS.mtimeNs + 1n } },
  { name: "a write whose time was set back", stats: { ctimeNs: STATS.ctimeNs + 1n } },
  { name: "a write that the clock does not show", stats: { size: 6n } },
  { name: "digits that move from one number to the next", stats: { dev: 12n, ino: 3n } },
  { name: "a time before 1970", stats: { mtimeNs: -STATS.mtimeNs } },
];
for (const { name, stats } of changes) {
  t.test(`another stamp: ${name}`, async (t) => t.not(fileStamp({ ...STATS, ...stats }), fileStamp(STATS)));
}
