import t from "tap";
import { READ_BUFFER } from "../../src/http/bytes-socket.ts";
import { GatheredBody } from "../../src/wire/gathered-body.ts";

t.test("pieces of one reading become one, which the next reading leaves alone", async (t) => {
  const body = new GatheredBody();
  t.equal(body.take(), null);
  const length = READ_BUFFER.write("2\r\nab\r\n3\r\ncde\r\n", "latin1");
  body.add(READ_BUFFER, 3, 5, length);
  body.add(READ_BUFFER, 10, 13, length);
  const piece = body.take();
  READ_BUFFER.fill("!", 0, length);
  t.equal(piece?.toString(), "abcde");
  t.equal(body.take(), null, "taken once");
  body.add(READ_BUFFER, 0, 2, 2);
  t.equal(body.take()?.toString(), "!!");
});
