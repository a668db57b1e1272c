/**
 * One run at a time: who asks while one is under way gets another one after it, however many ask. A
 * run that fails is told to `failed`, and ends what was asked for.
 */
export function oneAtATime(
  run: () => Promise<void>,
  failed: (error: unknown) => void,
): () => Promise<void> {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await run();
      }
    } catch (error) {
      failed(error);
    } finally {
      running = false;
    }
  };
}
