/** Since when something has been as it is. To be told when that changes: nobody may be looking for hours. */
export class Since {
  private key: string | undefined;
  /** Epoch ms at which the present key came; null while there is none. */
  at: number | null = null;

  /** `undefined`: there is nothing any more. */
  tell(key: string | undefined): void {
    if (key !== this.key) this.at = key === undefined ? null : Date.now();
    this.key = key;
  }
}
