/** A lock for asynchronous code: who asks first gets it first. */

export interface MutexInterface {
  acquire(): Promise<() => void>
  runExclusive<T>(callback: () => Promise<T> | T): Promise<T>
  waitForUnlock(): Promise<void>
  isLocked(): boolean
  release(): void
  cancel(): void
}

type Waiter = { resolve: (release: () => void) => void; reject: (reason: Error) => void }

export class Mutex implements MutexInterface {
  #cancelError: Error
  #locked = false
  #waiters: Waiter[] = []
  /** The first one of #waiters that still waits: taking it off the array's front would move all the others. */
  #first = 0
  #onUnlock: Array<() => void> = []

  constructor(cancelError = new Error('request for lock canceled')) {
    this.#cancelError = cancelError
  }

  /** Takes the lock if that needs no waiting. */
  tryAcquire(): boolean {
    if (this.#locked) return false
    this.#locked = true
    return true
  }

  acquire(): Promise<() => void> {
    if (this.tryAcquire()) return Promise.resolve(this.#releaser())
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  async runExclusive<T>(callback: () => Promise<T> | T): Promise<T> {
    if (!this.tryAcquire()) await this.acquire()
    try {
      return await callback()
    } finally {
      this.release()
    }
  }

  isLocked(): boolean {
    return this.#locked
  }

  waitForUnlock(): Promise<void> {
    return this.#locked ? new Promise((resolve) => this.#onUnlock.push(resolve)) : Promise.resolve()
  }

  release(): void {
    if (this.#first < this.#waiters.length) {
      const next = this.#waiters[this.#first++]
      if (this.#first === this.#waiters.length) this.#takeWaiters()
      return next.resolve(this.#releaser())
    }
    this.#locked = false
    for (const resolve of this.#onUnlock.splice(0)) resolve()
  }

  /** Lets everybody who waits fail. */
  cancel(): void {
    for (const waiter of this.#takeWaiters()) waiter.reject(this.#cancelError)
  }

  #takeWaiters(): Waiter[] {
    const waiting = this.#waiters.slice(this.#first)
    this.#waiters = []
    this.#first = 0
    return waiting
  }

  #releaser(): () => void {
    let held = true
    return () => {
      if (held) this.release()
      held = false
    }
  }
}
