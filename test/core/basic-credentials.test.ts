import t from "tap";
import { basicUserOf, credentialsFrom } from "../../src/core/basic-credentials.ts";

const b64 = (bytes: string, encoding: BufferEncoding = "utf8") =>
  Buffer.from(bytes, encoding).toString("base64");
const good = { user: "bob", password: "pa:ss" };

const read: readonly { name: string; value: string; is: { user: string; password: string } }[] = [
  { name: "plain", value: `Basic ${b64("bob:pa:ss")}`, is: good },
  { name: "scheme in any case", value: `bAsIC ${b64("bob:pa:ss")}`, is: good },
  { name: "several blanks and a tab", value: ` \tBasic \t ${b64("bob:pa:ss")} \t`, is: good },
  { name: "padding missing", value: "Basic Ym9iOnA", is: { user: "bob", password: "p" } },
  { name: "padding there", value: "Basic Ym9iOnA=", is: { user: "bob", password: "p" } },
  { name: "UTF-8", value: `Basic ${b64("jürgen:pä€")}`, is: { user: "jürgen", password: "pä€" } },
  { name: "latin1", value: `Basic ${b64("jürgen:pä", "latin1")}`, is: { user: "jürgen", password: "pä" } },
  {
    name: "byte order mark is part of the name",
    value: `Basic ${b64("\uFEFFbob:p")}`,
    is: { user: "\uFEFFbob", password: "p" },
  },
  { name: "empty name", value: `Basic ${b64(":p")}`, is: { user: "", password: "p" } },
  { name: "empty password", value: `Basic ${b64("bob:")}`, is: { user: "bob", password: "" } },
];

for (const { name, value, is } of read) {
  t.test(`read: ${name}`, async (t) => {
    t.same(credentialsFrom(["Host", "x", "aUTHORIZATION", value]), is);
    t.equal(basicUserOf(value), is.user);
  });
}

const refused: readonly { name: string; value: string }[] = [
  { name: "empty", value: "" },
  { name: "no credentials", value: "Basic" },
  { name: "no blank", value: `Basic${b64("bob:p")}` },
  { name: "another scheme", value: `Bearer ${b64("bob:p")}` },
  { name: "scheme with a prefix", value: `XBasic ${b64("bob:p")}` },
  { name: "no colon", value: `Basic ${b64("bob")}` },
  { name: "two in one line", value: `Basic ${b64("bob:pa")}, Basic ${b64("eve:pa")}` },
  { name: "blank inside", value: "Basic Ym9i OnA=" },
  { name: "URL alphabet", value: "Basic Ym9iOn_-" },
  { name: "junk after the padding", value: "Basic Ym9iOnA=x" },
  { name: "too much padding", value: "Basic Ym9iOnA==" },
  { name: "padding only", value: "Basic ==" },
  { name: "impossible length", value: "Basic Ym9iO" },
  { name: "NUL", value: `Basic ${b64("bob:p\0")}` },
  { name: "line break in the name", value: `Basic ${b64("bob\r\nX: y:p")}` },
  { name: "DEL", value: `Basic ${b64("bob:\x7f")}` },
  { name: "longer than any good one", value: `Basic ${b64(`bob:${"p".repeat(4000)}`)}` },
];

for (const { name, value } of refused) {
  t.test(`refused: ${name}`, async (t) => {
    t.equal(credentialsFrom(["Authorization", value]), null);
    t.equal(basicUserOf(value), null);
  });
}

t.test("no header, or more than one, is nobody", async (t) => {
  const value = `Basic ${b64("bob:p")}`;
  t.equal(credentialsFrom([]), null);
  t.equal(credentialsFrom(["X-Authorization", value]), null);
  t.equal(credentialsFrom(["Authorization", value, "authorization", value]), null);
  t.equal(credentialsFrom(["Authorization", "", "authorization", value]), null);
});
