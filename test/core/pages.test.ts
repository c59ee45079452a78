import t from "tap";
import { DOWN_PAGE, LOGIN_PAGE, limitedPage } from "../../src/core/pages.ts";

const text = (page: Uint8Array): string => new TextDecoder().decode(page);

const PAGES = [
  { name: "behind the login box", page: text(LOGIN_PAGE), title: "Sign-in is down" },
  { name: "a host that stays closed", page: text(DOWN_PAGE), title: "Sign-in is down" },
  { name: "too many attempts", page: text(limitedPage(3600)), title: "Too many attempts" },
];

t.test("each page is small, stands alone and tells nothing of the inside", async (t) => {
  for (const { name, page, title } of PAGES) {
    await t.test(name, async (t) => {
      t.ok(Buffer.byteLength(page) < 1500, `${Buffer.byteLength(page)} bytes go out with every check`);
      t.match(page, '<html lang="en">');
      t.match(page, `<title>${title}</title>`);
      t.match(page, `<h1>${title}</h1>`);
      t.notMatch(page, /<script|<form|\son\w+=|@import|url\(/i, "runs and sends nothing");
      const links = Array.from(page.matchAll(/\s(?:href|src)="([^"]*)"/g), ([, link]) => link);
      t.same(links, ["data:,", ""], "an empty icon, and the page itself");
      t.notMatch(
        page,
        /sparekey|authentik|outpost|upstream|htpasswd|traefik|\d+\.\d+\.\d+|:\/\//i,
        "no names",
      );
    });
  }
});

t.test("how long to wait, in whole minutes that are not too few", async (t) => {
  const rows = [
    { seconds: 1, words: "Wait a minute, then" },
    { seconds: 60, words: "Wait a minute, then" },
    { seconds: 61, words: "Wait 2 minutes, then" },
    { seconds: 3600, words: "Wait 60 minutes, then" },
  ];
  for (const { seconds, words } of rows) t.match(text(limitedPage(seconds)), words, `${seconds} s`);
});
