/** Stays at the end of a scrolling text, unless its reader has gone up. */

const NEAR = 8;

/** Fires "change" when `following` does. */
export class ScrollFollower extends EventTarget {
  following = true;
  #scroller;
  #content;
  #lastTop = 0;
  #observer = new ResizeObserver(() => this.#settle());

  /** @param {Element} scroller @param {Element} content its one child */
  constructor(scroller, content) {
    super();
    this.#scroller = scroller;
    this.#content = content;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#observer.observe(scroller);
    this.#observer.observe(content);
  }

  close() {
    this.#observer.disconnect();
  }

  toEnd() {
    this.#follow(true);
    this.#settle();
  }

  /** Runs *change*, which adds text above, so that what is read stays where it is. */
  keepPlace(change) {
    const scroller = this.#scroller;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    scroller.classList.add("unanchored");
    change();
    scroller.scrollTop = this.#lastTop = scroller.scrollHeight - fromEnd;
    requestAnimationFrame(() => scroller.classList.remove("unanchored"));
  }

  #settle() {
    if (!this.following) return;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  // Text that grew since the last frame also makes a gap: only going up is leaving.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight <= NEAR) this.#follow(true);
    else if (scrollTop < this.#lastTop) this.#follow(false);
    this.#lastTop = scrollTop;
  }

  #follow(following) {
    if (following === this.following) return;
    this.following = following;
    this.dispatchEvent(new Event("change"));
  }
}
