type Expansion =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly messages: readonly string[] };

/**
 * Replaces every `${NAME}` by the environment variable of that name. Its value may be a secret, and so may the text
 * around it. So messages name the variable, and show neither.
 */
export function expandEnvironment(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Expansion {
  const messages: string[] = [];
  const expanded = text.replace(/\$\{([^}]*)(\}?)/g, (_whole, name: string, end: string) => {
    if (end === "" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      messages.push("holds a broken reference; write $" + "{NAME} with letters, digits and _");
      return "";
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined) messages.push(`environment variable ${name} is not set`);
    return value ?? "";
  });
  return messages.length === 0 ? { ok: true, text: expanded } : { ok: false, messages };
}
