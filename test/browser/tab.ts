/** A browser's tab, and the person in front of its login boxes. */
import type { Browser, BrowserContextOptions, Page, Response } from "playwright-core";
import type { Test } from "tap";
import { openPage } from "../support/browser.ts";

/** What the person does with a box: null closes it. */
export type BoxAnswer = { readonly user: string; readonly password: string } | null;

export interface Tab {
  readonly page: Page;
  /** Since `open` or `follow` was called last, oldest first: the realm of each box. */
  boxes(): readonly string[];
  /** Since then too: each URL asked for. */
  requested(): readonly string[];
  /** For the boxes to come, in turn. One more is closed. */
  willAnswer(...answers: readonly BoxAnswer[]): void;
  /** Resolves with the answer behind all boxes and redirects. */
  open(url: string): Promise<Response>;
  /** Clicks the link; like `open`. */
  follow(link: string): Promise<Response>;
}

/** With a jar of cookies and a memory of passwords of its own. */
export async function openTab(t: Test, browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  const { page, requests } = await openPage(t, browser, options);
  let boxes: string[] = [];
  const answers: BoxAnswer[] = [];
  let earlier = 0;

  const devtools = await page.context().newCDPSession(page);
  // Once the tab is closed, what waits for an answer is gone.
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
