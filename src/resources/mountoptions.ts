/** Options of a mount that a PersistentVolume may ask for. Pure. */

/** One option. A comma would start a second one. */
const WORD = /^[A-Za-z0-9_][A-Za-z0-9_.:=/@%+-]*$/;
/** Options that `mount` itself interprets. They would change what is mounted. */
const OF_THE_PROGRAM = /^(?:bind|rbind|move|remount|loop|helper|offset|sizelimit|[xX]-)/;

export const isMountOption = (text: string): boolean =>
  WORD.test(text) && !OF_THE_PROGRAM.test(text);
