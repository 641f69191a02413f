/** Writes messages of the frontend into one growing buffer, several behind each other if wanted. */

const SHORT = 48

export class Writer {
  bytes: Buffer
  size = 0
  #lengthAt = 0

  constructor(capacity = 1024) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }

  /** Begins a message; `code` 0: one without a type byte (startup). */
  begin(code: number): this {
    this.#reserve(5)
    if (code !== 0) this.bytes[this.size++] = code
    this.#lengthAt = this.size
    this.size += 4
    return this
  }

  end(): this {
    this.#put32(this.#lengthAt, this.size - this.#lengthAt)
    return this
  }

  byte(value: number): this {
    this.#reserve(1)
    this.bytes[this.size++] = value
    return this
  }

  int16(value: number): this {
    this.#reserve(2)
    this.bytes[this.size++] = value >> 8
    this.bytes[this.size++] = value
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#put32(this.size, value)
    this.size += 4
    return this
  }

  /** UTF-8 without an end. */
  text(value: string): this {
    this.#reserve(value.length * 3)
    this.size = this.#putText(value, this.size)
    return this
  }

  /** UTF-8 and a zero byte. A zero byte within would end it early, and let the rest be read as something else. */
  cstring(value: string): this {
    if (value.includes('\0')) throw new Error('a string for PostgreSQL may not contain a zero byte')
    this.text(value)
    return this.byte(0)
  }

  /** Four bytes of length and UTF-8. */
  sizedText(value: string): this {
    this.#reserve(4 + value.length * 3)
    const from = this.size + 4
    const to = this.#putText(value, from)
    this.#put32(this.size, to - from)
    this.size = to
    return this
  }

  raw(value: Uint8Array): this {
    this.#reserve(value.byteLength)
    this.bytes.set(value, this.size)
    this.size += value.byteLength
    return this
  }

  /** A copy of what was written; the writer is empty again. */
  take(): Uint8Array {
    const result = new Uint8Array(this.bytes.subarray(0, this.size))
    this.size = 0
    return result
  }

  #put32(at: number, value: number): void {
    const bytes = this.bytes
    bytes[at] = value >> 24
    bytes[at + 1] = value >> 16
    bytes[at + 2] = value >> 8
    bytes[at + 3] = value
  }

  #putText(value: string, at: number): number {
    // The call into the engine costs more than a loop over a short ASCII text.
    if (value.length <= SHORT) {
      const bytes = this.bytes
      let to = at
      for (let index = 0; index < value.length; index++) {
        const unit = value.charCodeAt(index)
        if (unit >= 0x80) return at + bytes.write(value, at)
        bytes[to++] = unit
      }
      return to
    }
    return at + this.bytes.write(value, at)
  }

  #reserve(more: number): void {
    const needed = this.size + more
    if (needed <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.size))
    this.bytes = bytes
  }
}
