/** Since when something has been as it is, as far as it was looked at. */
export class Since {
  private key: string | undefined;
  private at = 0;

  /** Epoch ms at which `key` was first seen; it is looked at often, `undefined` meaning that there is nothing. */
  seen(key: string | undefined): number | null {
    if (key !== this.key) this.at = Date.now();
    this.key = key;
    return key === undefined ? null : this.at;
  }
}
