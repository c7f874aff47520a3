import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { inTime } from './async/timeout';
import { say } from './say';

const LARGEST = 1_048_576;
const TIMEOUT = 5_000;

/**
 * The text of a file that holds credentials: a regular file of up to 1 MB, read within 5 s. Throws an Error that says
 * in a few words what it is instead, and quotes nothing of it. (Opening a pipe would wait for somebody who writes.)
 */
export function readCredentialsFile(path: string): Promise<string> {
  return inTime(TIMEOUT, read(path), () => new Error(say`it was not read within ${TIMEOUT / 1_000} s`));
}

async function read(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!(await file.stat()).isFile()) throw new Error(say`it is no regular file`);
    const buffer = Buffer.alloc(LARGEST + 1);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size, size);
      size += bytesRead;
      if (size > LARGEST) throw new Error(say`it is larger than 1 MB`);
      if (bytesRead === 0) return buffer.toString('utf8', 0, size);
    }
  } finally {
    await file.close();
  }
}
