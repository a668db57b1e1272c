/** Resolves when the other work of this turn of the event loop had its chance: no time passes. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
