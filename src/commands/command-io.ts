/** What a command uses of the process; tests pass their own. Texts have their line ends. */
export type CommandIo = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
};
