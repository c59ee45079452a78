/** Draws the pictures of the docs, as Chromium shows the pages: `node test/browser/screenshots.ts`. */
import { join } from "node:path";
import { DOWN_PAGE, LOGIN_PAGE } from "../../src/core/pages.ts";
import { launchBrowser } from "../support/browser.ts";

const IMAGES = join(import.meta.dirname, "../../docs/images");
const DESKTOP = { width: 720, height: 600 };
const PHONE = { width: 360, height: 640 };

const PICTURES = [
  { name: "emergency-login-light", page: LOGIN_PAGE, colorScheme: "light", viewport: DESKTOP },
  { name: "emergency-login-dark", page: LOGIN_PAGE, colorScheme: "dark", viewport: PHONE },
  { name: "closed-dark", page: DOWN_PAGE, colorScheme: "dark", viewport: DESKTOP },
] as const;

await using browser = await launchBrowser();
for (const { name, page, colorScheme, viewport } of PICTURES) {
  const tab = await browser.newPage({ colorScheme, viewport });
  await tab.setContent(new TextDecoder().decode(page));
  await tab.screenshot({ path: join(IMAGES, `${name}.png`) });
  await tab.close();
}
