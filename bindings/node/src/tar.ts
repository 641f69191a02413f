/** Tar archives (ustar), as far as data directories need them: files and directories. The engine itself reads them. */

const BLOCK = 512
const NAME_BYTES = 100
const PREFIX_BYTES = 155
const SIZE_AT = 124
const CHECKSUM_AT = 148
const TYPE_AT = 156
const MAGIC_AT = 257
const PREFIX_AT = 345

export interface TarEntry {
  /** Relative, without a leading slash. */
  path: string
  directory: boolean
  data: Uint8Array
}

const padding = (size: number) => (BLOCK - (size % BLOCK)) % BLOCK

function header({ path, directory, data }: TarEntry): Buffer {
  const block = Buffer.alloc(BLOCK)
  // A long path is cut at a slash into prefix and name.
  const cut = path.length <= NAME_BYTES ? -1 : path.indexOf('/', path.length - NAME_BYTES - 1)
  if (path.length > NAME_BYTES && (cut < 1 || cut > PREFIX_BYTES)) throw new Error(`path too long for a tar archive: ${path}`)
  block.write(path.slice(cut + 1), 0, 'latin1')
  if (cut > 0) block.write(path.slice(0, cut), PREFIX_AT, 'latin1')
  const octal = (value: number, at: number, size: number) => block.write(value.toString(8).padStart(size - 1, '0'), at, 'latin1')
  octal(directory ? 0o700 : 0o600, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(data.byteLength, SIZE_AT, 12)
  octal(Math.floor(Date.now() / 1000), 136, 12)
  block.write(' '.repeat(8), CHECKSUM_AT, 'latin1')
  block[TYPE_AT] = (directory ? '5' : '0').charCodeAt(0)
  block.write('ustar\x0000', MAGIC_AT, 'latin1')
  octal(block.reduce((sum, byte) => sum + byte, 0), CHECKSUM_AT, 7)
  return block
}

/** An archive, in pieces. */
export function* tar(entries: Iterable<TarEntry>): Generator<Uint8Array> {
  for (const entry of entries) {
    yield header(entry)
    yield entry.data
    yield Buffer.alloc(padding(entry.data.byteLength))
  }
  yield Buffer.alloc(2 * BLOCK)
}
