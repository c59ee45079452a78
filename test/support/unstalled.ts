/** Where this machine is busy, a process may stand still for a moment, and sheds what its short deadlines would fail. */
const TRIES = 20;

/** What `asked` brings, and brings again while it `isShed`. */
export async function unstalled<Result>(
  asked: () => Promise<Result>,
  isShed: (result: Result) => boolean | Promise<boolean>,
): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    const result = await asked();
    if (tries === TRIES || !(await isShed(result))) return result;
  }
}
