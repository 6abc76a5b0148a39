/** Stays at the end of a scrolling text, unless its reader has gone up. */

const NEAR = 8;

/** Fires "change" when `following` does. */
export class ScrollFollower extends EventTarget {
  following = true;
  /** Whether the end of what is shown is the end of the text. */
  whole = true;
  #scroller;
  #items;
  #lastTop = 0;
  #observer = new ResizeObserver(() => this.settle());

  /** @param {Element} scroller @param {Element} content its one child @param {Element} items what holds the parts that are read */
  constructor(scroller, content, items) {
    super();
    this.#scroller = scroller;
    this.#items = items;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#observer.observe(scroller);
    this.#observer.observe(content);
  }

  close() {
    this.#observer.disconnect();
  }

  toEnd() {
    this.#follow(true);
    this.settle();
  }

  /** The first part that can be seen, and how far its top is below that of the scroller; null when there is none. */
  get first() {
    const { top } = this.#scroller.getBoundingClientRect();
    const node = [...this.#items.children].find((child) => child.getBoundingClientRect().bottom > top);
    return node ? { node, offset: node.getBoundingClientRect().top - top } : null;
  }

  /** Shows *node* with its top *offset* below that of the scroller. */
  show(node, offset) {
    this.#follow(false);
    this.#keep(node, offset);
  }

  /** Runs *change*, which adds or takes away above or below, so that what is read stays where it is. */
  keepPlace(change) {
    const { first } = this;
    this.#scroller.classList.add("unanchored");
    change();
    if (this.following) this.settle();
    else if (first) this.#keep(first.node, first.offset);
    requestAnimationFrame(() => this.#scroller.classList.remove("unanchored"));
  }

  #keep(node, offset) {
    const scroller = this.#scroller;
    const moved = node.getBoundingClientRect().top - scroller.getBoundingClientRect().top - offset;
    if (Math.abs(moved) >= 0.5) scroller.scrollTop += moved;
    this.#lastTop = scroller.scrollTop;
  }

  /** Goes on to the end, unless the reader has gone up: for what has become shorter and may grow before it is drawn. */
  settle() {
    if (!this.following || this.#items.children.length === 0) return;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  // Text that grew since the last frame also makes a gap: only going up is leaving.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (this.whole && scrollHeight - scrollTop - clientHeight <= NEAR) this.#follow(true);
    else if (scrollTop < this.#lastTop) this.#follow(false);
    this.#lastTop = scrollTop;
  }

  #follow(following) {
    if (following === this.following) return;
    this.following = following;
    this.dispatchEvent(new Event("change"));
  }
}
