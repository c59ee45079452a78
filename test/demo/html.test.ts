import t from "tap";
import { escapedHtml, htmlPage, pageHeaders, pageHeadersWith } from "../../src/demo/html.ts";

t.test("text is escaped", async (t) => {
  const rows = [
    { name: "nothing to escape", text: "plain · text", escaped: "plain · text" },
    { name: "an element", text: "<script>", escaped: "&lt;script&gt;" },
    { name: "the end of an attribute", text: `"'`, escaped: "&quot;&#39;" },
    { name: "an entity", text: "&lt;", escaped: "&amp;lt;" },
  ];
  for (const { name, text, escaped } of rows) t.equal(escapedHtml(text), escaped, name);
});

t.test("a page has its style inside, and only its body is markup", async (t) => {
  const page = htmlPage("<Faults>", "<p>body</p>");
  t.match(page, /<title>&lt;Faults&gt;<\/title>\n<style>:root \{/);
  t.match(page, "<h1>&lt;Faults&gt;</h1>\n<p>body</p>");
  t.equal(page.split("</style>").length, 2, "the style does not end early");
});

t.test("a page runs nothing, and only the switchboard frames it", async (t) => {
  const policyOf = (headers: readonly string[]) => headers[headers.indexOf("Content-Security-Policy") + 1];
  t.match(policyOf(pageHeaders), /^default-src 'none'; .*; frame-ancestors http:\/\/127\.0\.0\.1:\* /);
  t.match(policyOf(pageHeadersWith("frame-ancestors 'none'")), /; base-uri 'none'; frame-ancestors 'none'$/);
});
