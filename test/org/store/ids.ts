/** Salesforce record ids: key prefix (3) + pod (2) + 0 + number in base 62 (9), and three check characters. */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CHECK = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';
const POD = 'Hs0';
const NUMBER_LENGTH = 9;

const valueOfCode = new Int8Array(128).fill(-1);
for (let digit = 0; digit < DIGITS.length; digit++) valueOfCode[DIGITS.charCodeAt(digit)] = digit;

function isUpper(code: number): boolean {
  return code >= 65 && code <= 90;
}

/** The 18-character form of a 15-character id: each check character tells which of five letters are capitals. */
export function to18(id15: string): string {
  let check = '';
  for (let chunk = 0; chunk < 3; chunk++) {
    let bits = 0;
    for (let i = 0; i < 5; i++) if (isUpper(id15.charCodeAt(chunk * 5 + i))) bits |= 1 << i;
    check += CHECK.charAt(bits);
  }
  return id15 + check;
}

/** The id of the record with this number in its object; ids sort as their numbers do. */
export function recordId(keyPrefix: string, number: number): string {
  let digits = '';
  for (let rest = number, i = 0; i < NUMBER_LENGTH; i++, rest = Math.floor(rest / 62)) {
    digits = DIGITS.charAt(rest % 62) + digits;
  }
  return to18(keyPrefix + POD + digits);
}

/** The 18-character form of what a client sent, or undefined where that can't be an id. */
export function normalId(sent: unknown): string | undefined {
  if (typeof sent !== 'string' || (sent.length !== 15 && sent.length !== 18) || !/^[A-Za-z0-9]+$/.test(sent))
    return undefined;
  const id = to18(sent.slice(0, 15));
  return sent.length === 15 || id === sent ? id : undefined;
}

/** The number within an 18-character id, or -1 where the id isn't one of this org's. */
export function recordNumber(id: string): number {
  if (id.slice(3, 6) !== POD) return -1;
  let number = 0;
  for (let i = 15 - NUMBER_LENGTH; i < 15; i++) number = number * 62 + (valueOfCode[id.charCodeAt(i)] ?? -1);
  return number;
}
