/** A wait that can be ended early. */
export class Pause {
  #end = () => {};

  /** @returns {Promise<void>} after *milliseconds* or `end()` */
  wait(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  end() {
    this.#end();
  }
}
