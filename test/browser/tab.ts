/** A tab of a browser, and a person that answers its login boxes. */
import type { Browser, BrowserContextOptions, Page, Response } from "playwright-core";
import type { Test } from "tap";
import { openPage } from "../support/browser.ts";

/** What the person does with a box: null closes it. */
export type BoxAnswer = { readonly user: string; readonly password: string } | null;

export interface Tab {
  readonly page: Page;
  /** The realm of each box since the last `open` or `follow`, oldest first. */
  boxes(): readonly string[];
  /** Each URL asked for since then. */
  requested(): readonly string[];
  /** Answers the next boxes in turn. Any further box is closed. */
  willAnswer(...answers: readonly BoxAnswer[]): void;
  /** Resolves with the answer behind all boxes and redirects. */
  open(url: string): Promise<Response>;
  /** Clicks the link, and resolves like `open`. */
  follow(link: string): Promise<Response>;
}

/** The tab has cookies and remembered passwords of its own. */
export async function openTab(t: Test, browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  const { page, requests } = await openPage(t, browser, options);
  let boxes: string[] = [];
  const answers: BoxAnswer[] = [];
  let earlier = 0;

  const devtools = await page.context().newCDPSession(page);
  // A closed tab has no request that could be answered.
  const gone = (): void => {};
  devtools.on("Fetch.requestPaused", ({ requestId }) => {
    devtools.send("Fetch.continueRequest", { requestId }).catch(gone);
  });
  devtools.on("Fetch.authRequired", ({ requestId, authChallenge }) => {
    boxes.push(authChallenge.realm);
    const answer = answers.shift() ?? null;
    const authChallengeResponse =
      answer === null
        ? ({ response: "CancelAuth" } as const)
        : ({ response: "ProvideCredentials", username: answer.user, password: answer.password } as const);
    devtools.send("Fetch.continueWithAuth", { requestId, authChallengeResponse }).catch(gone);
  });
  await devtools.send("Fetch.enable", { handleAuthRequests: true });

  const begin = (): void => {
    boxes = [];
    earlier = requests.length;
  };
  return {
    page,
    boxes: () => boxes,
    willAnswer: (...more) => void answers.push(...more),
    requested: () => requests.slice(earlier),
    open: async (url) => {
      begin();
      return arrived(await page.goto(url));
    },
    follow: async (link) => {
      begin();
      const [response] = await Promise.all([
        page.waitForNavigation(),
        page.getByRole("link", { name: link, exact: true }).click(),
      ]);
      return arrived(response);
    },
  };
}

function arrived(response: Response | null): Response {
  if (response === null) throw new Error("the browser went nowhere");
  return response;
}
