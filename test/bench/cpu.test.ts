/** Reading what the kernel accounts for: proc(5). */
import t from "tap";
import { parseCores } from "../../bench/compare/cores.ts";
import { descendants, parseResident, parseStat, usedBy } from "../../bench/compare/cpu.ts";

const TAIL = "20 0 1 0 1678390 3133440 390 18446744073709551615";

t.test("a line of /proc/PID/stat", async (t) => {
  const rows = [
    {
      name: "a plain name",
      text: `865 (cat) R 856 856 3 0 -1 4194304 101 0 0 0 7 5 3 1 ${TAIL}`,
      stat: { pid: 865, parent: 856, ticks: 16 },
    },
    {
      name: "blanks and brackets in the name",
      text: `12 (a) S 9 (b c) S 1 12 3 0 -1 4194304 101 0 0 0 20 10 0 0 ${TAIL}`,
      stat: { pid: 12, parent: 1, ticks: 30 },
    },
    { name: "cut off", text: "12 (cat) S 1 12 3", stat: null },
    { name: "empty: the process is gone", text: "", stat: null },
  ];
  for (const { name, text, stat } of rows) t.same(parseStat(text), stat, name);
});

t.test("a process and all that descend from it, in whatever order they are listed", async (t) => {
  const stats = [
    { pid: 30, parent: 20, ticks: 0 },
    { pid: 20, parent: 10, ticks: 0 },
    { pid: 11, parent: 1, ticks: 0 },
    { pid: 10, parent: 1, ticks: 0 },
  ];
  t.same([...descendants(10, stats)].sort(), [10, 20, 30]);
  t.same([...descendants(11, stats)], [11]);
});

t.test("resident memory, in bytes", async (t) => {
  t.equal(parseResident("Name:\tnode\nVmRSS:\t    2048 kB\nRssAnon:\t 1 kB\n"), 2048 * 1024);
  t.equal(parseResident("Name:\tkthreadd\n"), 0, "no memory of its own");
});

t.test("of this very process", async (t) => {
  const before = usedBy(process.pid);
  let sum = 0;
  // By the clock of the CPU: however busy the machine is, 50 ms of it are more than a tick.
  for (const begin = process.cpuUsage(); process.cpuUsage(begin).user < 50_000; ) sum += Math.sqrt(sum + 1);
  const after = usedBy(process.pid);
  t.ok(after.cpuSeconds > before.cpuSeconds, `${after.cpuSeconds} after ${before.cpuSeconds}`);
  t.ok(after.residentBytes > 1024 * 1024);
});

t.test("the cores a process may use", async (t) => {
  const rows = [
    { list: "0-1", cores: [0, 1] },
    { list: "3", cores: [3] },
    { list: "0-2,5,8-9", cores: [0, 1, 2, 5, 8, 9] },
    { list: "", cores: [] },
  ];
  for (const { list, cores } of rows) t.same(parseCores(list), cores, JSON.stringify(list));
});
