/**
 * Loaded before every test file. With --test-force-exit a file's process ends without waiting for what it has still to
 * write into the pipe to the runner, and where that is slow to read, the results in there are lost without a word:
 * fewer tests, none failed (nodejs/node#64833). Written at once, nothing is left to wait for.
 */
const { _handle } = process.stdout as { _handle?: { setBlocking?: (blocking: boolean) => void } };
_handle?.setBlocking?.(true);
