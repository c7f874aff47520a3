import { sendBytes, type NatsConnection } from '../server/nats';

/** Bytes that are handed to the client together. */
const CHUNK = 64 * 1024;
/** Of a frame beside subject, reply, headers and data: the verb, two lengths, blanks and line breaks. */
const FIXED = 40;

/**
 * Messages written out as they go over the wire, one behind the other in one buffer. The client's publish makes five
 * buffers of each message and copies them twice, which is the half of what publishing costs (bench/NOTES.md).
 */
export class Frames {
  private buffer = Buffer.alloc(0);
  private length = 0;

  constructor(private readonly nc: NatsConnection) {}

  /** Throws as the client's publish does for what is larger than the server's max_payload. */
  add(subject: string, reply: string, headers: Uint8Array | undefined, data: Uint8Array | string): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    const head = headers?.length ?? 0;
    if (head + size > (this.nc.info?.max_payload ?? Infinity))
      throw Object.assign(new Error('MAX_PAYLOAD_EXCEEDED'), { code: 'MAX_PAYLOAD_EXCEEDED' });
    const to = reply === '' ? subject : `${subject} ${reply}`;
    this.reserve(3 * to.length + head + size + FIXED);
    this.write(headers ? `HPUB ${to} ${head} ${head + size}\r\n` : `PUB ${to} ${size}\r\n`);
    if (headers) this.write(headers);
    this.write(data);
    this.write('\r\n');
  }

  /** Hands what was added to the client. */
  flush(): void {
    if (this.length === 0) return;
    sendBytes(this.nc, this.buffer.subarray(0, this.length));
    this.buffer = this.buffer.subarray(this.length);
    this.length = 0;
  }

  private reserve(bytes: number): void {
    if (this.length >= CHUNK) this.flush();
    if (this.length + bytes <= this.buffer.length) return;
    this.flush();
    if (bytes > this.buffer.length) this.buffer = Buffer.allocUnsafe(Math.max(2 * CHUNK, bytes));
  }

  private write(part: Uint8Array | string): void {
    if (typeof part === 'string') this.length += this.buffer.write(part, this.length);
    else {
      this.buffer.set(part, this.length);
      this.length += part.length;
    }
  }
}
