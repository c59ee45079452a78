import t from "tap";
import { html } from "../../src/admin/html.ts";

t.test("what is put into a template cannot leave its place", async (t) => {
  const evil = `"><script>alert('&')</script>`;
  const rows: readonly { name: string; made: { html: string }; is: string }[] = [
    {
      name: "text",
      made: html`<p>${evil}</p>`,
      is: "<p>&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;</p>",
    },
    {
      name: "an attribute",
      made: html`<p title="${`" onload='x`}">`,
      is: '<p title="&quot; onload=&#39;x">',
    },
    { name: "HTML in HTML", made: html`<p>${html`<b>${"<"}</b>`}</p>`, is: "<p><b>&lt;</b></p>" },
    { name: "a list", made: html`<p>${["<", html`<br>`, [3]]}</p>`, is: "<p>&lt;<br>3</p>" },
    { name: "nothing", made: html`<p>${null}${0}${""}</p>`, is: "<p>0</p>" },
  ];
  for (const { name, made, is } of rows) t.equal(made.html, is, name);
});
