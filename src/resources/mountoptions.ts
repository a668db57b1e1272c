/** Options of a mount that a PersistentVolume may ask for. Pure. */

/** One word: a comma would begin another. */
const WORD = /^[A-Za-z0-9_][A-Za-z0-9_.:=/@%+-]*$/;
/** Of the program `mount` itself, which would mount something else, or otherwise. */
const OF_THE_PROGRAM = /^(?:bind|rbind|move|remount|loop|helper|offset|sizelimit|[xX]-)/;

export const isMountOption = (text: string): boolean =>
  WORD.test(text) && !OF_THE_PROGRAM.test(text);
