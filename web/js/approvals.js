/** Which tool calls wait for a person's answer: as they were read, moved on by events. Pure. */

/** @typedef {{request_id: string, thread_id: string, message_id: string, name: string, subject: string, parameters: object, always: boolean}} Approval */

export class ApprovalBook {
  #waiting = new Map(); // the oldest first
  #settled = new Set();

  /** @returns {Approval[]} */
  get all() {
    return [...this.#waiting.values()];
  }

  /** @returns {Approval[]} */
  in(threadId) {
    return this.all.filter((approval) => approval.thread_id === threadId);
  }

  /** What waits, as it was read; what was settled while that was on its way stays settled. */
  add(approvals) {
    for (const approval of approvals) this.#needed(approval);
  }

  /** For when events were missed: what waits must be read anew. */
  clear() {
    this.#waiting.clear();
  }

  /** Takes one event; whether it changed anything. */
  apply({ name, data }) {
    if (name === "approval_needed") return this.#needed(data);
    if (name === "approval_settled") return this.#over(data.request_id);
    if (name === "thread_updated" && data.change === "deleted") return this.#gone(data.thread_id);
    return false;
  }

  #needed(approval) {
    if (this.#settled.has(approval.request_id)) return false;
    this.#waiting.set(approval.request_id, approval);
    return true;
  }

  #over(id) {
    this.#settled.add(id);
    return this.#waiting.delete(id);
  }

  #gone(threadId) {
    const asked = this.in(threadId);
    for (const { request_id: id } of asked) this.#over(id);
    return asked.length > 0;
  }
}
