// A mistake of the user's that a command or a library call reports in one go; nothing was judged.

/** The message is for people and says what there is to choose from. */
export class CallError extends Error {
  override readonly name = 'CallError';
}
