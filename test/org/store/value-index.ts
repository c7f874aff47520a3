/** Numbers of records by a value: one number as itself, several as a set, since most keys are unique. */
export class ValueIndex {
  readonly #numbers = new Map<string, number | Set<number>>();

  add(key: string, number: number): void {
    const there = this.#numbers.get(key);
    if (there === undefined) this.#numbers.set(key, number);
    else if (typeof there === 'number') this.#numbers.set(key, new Set([there, number]));
    else there.add(number);
  }

  delete(key: string, number: number): void {
    const there = this.#numbers.get(key);
    if (there === number) this.#numbers.delete(key);
    else if (typeof there === 'object') {
      there.delete(number);
      if (there.size === 0) this.#numbers.delete(key);
    }
  }

  get(key: string): number[] {
    const there = this.#numbers.get(key);
    return there === undefined ? [] : typeof there === 'number' ? [there] : [...there];
  }
}
