import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { hashSync } from "bcrypt";
import t from "tap";
import { parseHtpasswd } from "../../src/login/htpasswd.ts";
import { verifyPassword } from "../../src/login/password-hash.ts";
import { missing } from "../support/programs.ts";

function htpasswd(flags: readonly string[], password: string): string {
  const args = ["-n", "-b", ...flags, "bob", password];
  return execFileSync("htpasswd", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

const made: readonly { name: string; flags: readonly string[] }[] = [
  { name: "bcrypt", flags: ["-B"] },
  { name: "bcrypt, cost 7", flags: ["-B", "-C", "7"] },
  { name: "apr1", flags: ["-m"] },
  { name: "sha", flags: ["-s"] },
  { name: "sha-256 crypt", flags: ["-2"] },
  { name: "sha-256 crypt, 1000 rounds", flags: ["-2", "-r", "1000"] },
  { name: "sha-512 crypt", flags: ["-5"] },
  { name: "sha-512 crypt, 10001 rounds", flags: ["-5", "-r", "10001"] },
];
const passwords = ["p", "correct horse: battery", "pässwörd €", "x".repeat(71), `start${"y".repeat(195)}`];

for (const { name, flags } of made) {
  t.test(`made by htpasswd: ${name}`, { skip: missing("htpasswd") }, async (t) => {
    for (const password of passwords) {
      const { users, problems } = parseHtpasswd(htpasswd(flags, password));
      const hash = users.get("bob") ?? "";
      t.same(problems, []);
      t.ok(verifyPassword(password, hash), `right, ${password.length} chars`);
      t.notOk(verifyPassword(`z${password}`, hash), "wrong");
      t.notOk(verifyPassword(password.slice(1), hash), "short of a char");
      t.notOk(verifyPassword("", hash), "empty");
    }
  });
}

for (const { name, flags } of [
  { name: "DES", flags: ["-d"] },
  { name: "plain text", flags: ["-p"] },
]) {
  t.test(`made by htpasswd, refused: ${name}`, { skip: missing("htpasswd") }, async (t) => {
    const line = htpasswd(flags, "secretpw");
    t.equal(parseHtpasswd(line).users.size, 0);
    t.equal(parseHtpasswd(line).problems.length, 1);
    t.notOk(verifyPassword("secretpw", line.trim().slice("bob:".length)));
  });
}

// From the tests of Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", with salts and rounds as crypt prints.
const drepper: readonly { password: string; hash: string }[] = [
  { password: "Hello world!", hash: "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5" },
  {
    password: "Hello world!",
    hash: "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
  },
  {
    password: "This is just a test",
    hash: "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5",
  },
  {
    password: "a very much longer text to encrypt.  This one even stretches over morethan one line.",
    hash: "$5$rounds=1400$anotherlongsalts$Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1",
  },
  {
    password: "we have a short salt string but not a short password",
    hash: "$5$rounds=77777$short$JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/",
  },
  {
    password: "a short string",
    hash: "$5$rounds=123456$asaltof16chars..$gP3VQ/6X7UUEW3HkBn2w1/Ptq2jxPyzV/cZKmF/wJvD",
  },
  {
    password: "the minimum number is still observed",
    hash: "$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC",
  },
  {
    password: "Hello world!",
    hash: "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
  },
  {
    password: "Hello world!",
    hash: "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
  },
  {
    password: "This is just a test",
    hash: "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0",
  },
  {
    password: "a very much longer text to encrypt.  This one even stretches over morethan one line.",
    hash: "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
  },
  {
    password: "we have a short salt string but not a short password",
    hash: "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0",
  },
  {
    password: "a short string",
    hash: "$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1",
  },
  {
    password: "the minimum number is still observed",
    hash: "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX.",
  },
];
t.test("Drepper's vectors", async (t) => {
  for (const { password, hash } of drepper) {
    t.ok(verifyPassword(password, hash), hash);
    t.notOk(verifyPassword(`${password} `, hash));
  }
});

// These are from Apache, "Password Formats". {SSHA} as in RFC 3112 is made by hand.
t.test("Apache's documented examples of one password", async (t) => {
  t.ok(verifyPassword("myPassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"));
  t.ok(verifyPassword("myPassword", "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE="));
  t.ok(verifyPassword("myPassword", "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC"));
  t.notOk(verifyPassword("mypassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"));
});

t.test("{SSHA} with salts of several lengths", async (t) => {
  for (const length of [1, 4, 8, 16, 64]) {
    const salt = Buffer.alloc(length, 0xa5);
    const digest = createHash("sha1").update("pässword").update(salt).digest();
    const hash = `{SSHA}${Buffer.concat([digest, salt]).toString("base64")}`;
    t.ok(verifyPassword("pässword", hash));
    t.notOk(verifyPassword("password", hash));
  }
});

t.test("bcrypt reads 72 bytes, in $2a$, $2b$ and $2y$ alike", async (t) => {
  const hash = hashSync("k".repeat(72), 4);
  for (const prefix of ["$2a$", "$2b$", "$2y$"]) {
    const same = hash.replace("$2b$", prefix);
    t.ok(verifyPassword("k".repeat(72), same));
    t.ok(verifyPassword("k".repeat(300), same), "Apache reads no further either");
    t.notOk(verifyPassword("k".repeat(71), same));
  }
});

t.test("regression: 255 bytes and more do not count as few in $2a$", async (t) => {
  const hash = hashSync("k".repeat(4), 4).replace("$2b$", "$2a$");
  t.ok(verifyPassword("kkkk", hash));
  t.notOk(verifyPassword("k".repeat(256 + 4), hash));
});

t.test("passwords that never match", async (t) => {
  const sha = (password: string) => `{SHA}${createHash("sha1").update(password).digest("base64")}`;
  t.notOk(verifyPassword("", sha("")), "empty");
  t.notOk(verifyPassword("a\0b", sha("a\0b")), "NUL");
  t.ok(verifyPassword("x".repeat(1024), sha("x".repeat(1024))));
  t.notOk(verifyPassword("x".repeat(1025), sha("x".repeat(1025))), "over 1024 bytes");
  t.notOk(verifyPassword("not a password", sha("x")), "the stand-in itself");
  t.notOk(verifyPassword("", sha("not a password")), "nothing is not the stand-in");
  t.notOk(verifyPassword("a\0", hashSync("a", 4)), "what comes before a NUL");
});
