/** Whether somebody wrote an annotation. */
interface Noted {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
}

export const annotated = (object: Noted, key: string): boolean =>
  object.metadata?.annotations?.[key] !== undefined;
