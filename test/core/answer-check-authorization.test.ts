/** The Authorization that an app gets when the gateway takes it from our reply. */
import t from "tap";
import { headerValues } from "../../src/core/headers.ts";
import type { Outcome, RawHeaders } from "../../src/core/types.ts";
import { basic } from "../support/app.ts";
import { answering, decisionOf, FALLBACKS, failing, world } from "../support/check-world.ts";
import { answer, check } from "../support/fixtures.ts";

const EMERGENCY = basic("eve", "sesame");
const OWN = "Bearer of-the-app";

interface Row {
  readonly name: string;
  readonly sent: RawHeaders;
  readonly outcome?: Outcome;
  readonly mode?: keyof typeof FALLBACKS;
  readonly strip?: boolean;
  readonly override?: "upstream";
  readonly echoed: readonly string[];
}

const rows: readonly Row[] = [
  { name: "a token of the client's own", sent: ["Authorization", OWN], echoed: [OWN] },
  { name: "a login for the app", sent: ["authorization", basic("bob", "x")], echoed: [basic("bob", "x")] },
  { name: "none", sent: [], echoed: [] },
  {
    name: "several, as they came",
    sent: ["Authorization", OWN, "Authorization", "Basic x"],
    echoed: [OWN, "Basic x"],
  },
  { name: "a 204", sent: ["Authorization", OWN], outcome: answering(answer(204)), echoed: [OWN] },
  { name: "on allow routes", sent: ["Authorization", OWN], mode: "allow", echoed: [OWN] },
  { name: "asked by override", sent: ["Authorization", OWN], override: "upstream", echoed: [OWN] },
  { name: "never the emergency login", sent: ["Authorization", EMERGENCY], echoed: [] },
  {
    name: "nor where the upstream may have it",
    sent: ["Authorization", EMERGENCY],
    strip: false,
    echoed: [],
  },
  { name: "nor beside another", sent: ["Authorization", EMERGENCY, "Authorization", OWN], echoed: [OWN] },
  {
    name: "not what the upstream did not see",
    sent: ["Connection", "close, Authorization", "Authorization", OWN],
    echoed: [],
  },
  {
    name: "the upstream's own wins",
    sent: ["Authorization", OWN],
    outcome: answering(answer(200, ["authorization", "Basic of-upstream"])),
    echoed: ["Basic of-upstream"],
  },
  { name: "no challenge", sent: ["Authorization", OWN], outcome: answering(answer(302)), echoed: [] },
  { name: "no refusal", sent: ["Authorization", OWN], outcome: answering(answer(403)), echoed: [] },
  { name: "no plain proxying", sent: ["Authorization", OWN], mode: "none", echoed: [] },
  {
    name: "no fallback: allow",
    sent: ["Authorization", OWN],
    mode: "allow",
    outcome: failing("refused"),
    echoed: [],
  },
  { name: "no fallback: login", sent: ["Authorization", EMERGENCY], outcome: failing("refused"), echoed: [] },
];

for (const { name, sent, outcome, mode = "basic-auth", strip = true, override, echoed } of rows) {
  t.test(name, async (t) => {
    const made = world(outcome ?? answering(answer(200, ["X-authentik-username", "bob"])), {
      route: { fallback: FALLBACKS[mode], stripEmergencyCredentials: strip },
      login: { kind: "ok", user: "eve" },
      ...(override && { override }),
    });
    const { reply } = await decisionOf(made, check({ headers: ["Host", "app", ...sent] }));
    t.same(headerValues(reply.headers, "authorization"), echoed);
  });
}
