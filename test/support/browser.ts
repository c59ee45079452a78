/** The system's Chromium without a window. Its requests never leave this machine. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { Test } from "tap";
import { pathOf } from "./programs.ts";

const DEADLINE_MS = 15_000;
const ARGUMENTS = [
  "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  // Chromium's sandbox does not start for root, and tests in containers run as root.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];
const require = createRequire(import.meta.url);

export interface OpenedPage {
  readonly page: Page;
  /** Errors and warnings of the console and of scripts, such as a violation of the page's policy. */
  readonly complaints: readonly string[];
  /** URLs. */
  readonly requests: readonly string[];
}

/** Start one browser for a file of tests, because a start takes a second. */
export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await launchBrowser();
  t.teardown(() => browser.close());
  return browser;
}

/** The caller closes it. It ends with this process at the latest. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: pathOf("chromium") ?? "chromium", args: ARGUMENTS });
}

/** The page has a profile of its own, and closes with the test. */
export async function openPage(
  t: Test,
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> {
  const context = await browser.newContext(options);
  t.teardown(() => context.close());
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => requests.push(request.url()));
  return { page, complaints, requests };
}

/** Bytes of the page and of what it loaded, before compression. */
export async function weightOf(page: Page): Promise<number> {
  const sum = `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((bytes, { decodedBodySize }) => bytes + decodedBodySize, 0)`;
  return Number(await page.evaluate(sum));
}

/** Violations of WCAG 2.2 AA and good practice that axe finds, as `rule: elements`. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  // axe cannot run as a script of the page, because the page's policy allows its own scripts only.
  await page.evaluate(await readFile(require.resolve("axe-core/axe.min.js"), "utf8"));
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<AxeResult> } };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  });
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}
